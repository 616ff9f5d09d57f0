"""Draw the matrix of sets, and the five levels of information gain on each set that was left out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from entreg.report.panels import COLOURS, MAP_COLOURS, Mean, difference_panel
from entreg.report.pictures import Picture, picture_of
from entreg.report.set_tables import BAR_WORDS, SET_WORDS, bar_rows
from entreg.results.answer import pooled_or_single
from entreg.results.domains import learned_from
from entreg.results.schema import SINGLE_SETS, ArmMatrix, Bar, MatrixCell, Results, SetMatrix

LABEL = "IG (bit/fixation)"
KINDS = {"as_trained": "as trained", "adapted": "adapted to the set"}
ON_BRIGHT, ON_DIM = "#000001", "#fffffe"  # of numbers on colours: no greys, which a dark page turns round
COLUMN, HEADER = 12, 20  # letters that fit below a column and beside a row
WIDTH, ROW, HEAD = (
    6.4,
    0.32,
    1.3,
)  # inches: of a panel, of a row, and of what is beside the rows


def answer(results: Results) -> Picture | None:
    """Draw what the answer is about where pooled sets against one set were planned; else None."""
    found = pooled_or_single(results) if results.primary.against == SINGLE_SETS else None
    if found is None:
        return None
    arm, _, pooled = found
    cells: dict[str, dict[str, Mean]] = {}
    for kind, differences in (("as_trained", pooled.as_trained), ("adapted", pooled.adapted or {})):
        for key, cell in differences.items():
            cells.setdefault(KINDS[kind], {})[SET_WORDS.get(key, key)] = cell
    figure = difference_panel(cells, "IG difference, all others pooled minus one other (bit/fixation)")
    said = "; ".join(f"{kind}, {key} {cell.mean:+.3f}" for kind, of in cells.items() for key, cell in of.items())
    caption = "Models that learned from all other sets minus the mean of those that learned from one other set."
    return dataclasses.replace(picture_of(figure, f"{caption} {arm}: {said}."), caption=caption)


def page_pictures(matrix: SetMatrix, arm: str) -> list[Picture]:
    """Draw an arm's matrix and its levels for the page."""
    of_arm, rows = matrix.arms[arm], _rows(matrix.arms[arm])
    figure = Figure(figsize=(WIDTH, 2 * (HEAD + ROW * len(rows))), layout="constrained")
    draw_matrices(figure.subplots(2, 1), matrix, of_arm)
    pictures = [picture_of(figure, f"{arm}: {_in_words(matrix, of_arm)}.")]
    if of_arm.bars:
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        draw_bars(figure.subplots(), of_arm)
        levels = "; ".join(
            f"{name}: " + ", ".join(f"{words} {bar.as_trained.mean:.3f}" for _, words, bar in bar_rows(bars))
            for name, bars in of_arm.bars.items()
        )
        pictures.append(picture_of(figure, f"Levels of information gain on each set, {arm}. {levels}."))
    return pictures


def draw_matrices(axes: Any, matrix: SetMatrix, arm: ArmMatrix) -> None:
    """Draw the matrix as trained and after the adaptation, on one colour scale; axes: a pair of them.

    What a set's own validation images judge has a frame; it is not adapted, and stands in both.
    """
    rows, sets = _rows(arm), matrix.sets
    both = [_values(arm, rows, sets, kind) for kind in KINDS]
    low, high = (end([end(one) for one in both]) for end in (np.nanmin, np.nanmax))
    for one, values, title in zip(np.ravel(axes), both, KINDS.values(), strict=True):
        shown = one.imshow(values, cmap=MAP_COLOURS, aspect="auto", vmin=low, vmax=high)
        for (row, column), value in np.ndenumerate(values):
            own = sets[column] in rows[row]
            colour = "black" if np.isnan(value) else ON_BRIGHT if value > (low + high) / 2 else ON_DIM
            text = "–" if np.isnan(value) else f"{value:.3f}"
            one.text(column, row, text, ha="center", va="center", color=colour, weight="bold" if own else "normal")
        one.set_xticks(range(len(sets)), [in_lines(name, COLUMN) for name in sets])
        one.set_yticks(range(len(rows)), [in_lines(learned_from(row, sets), HEADER) for row in rows])
        one.set(title=title, xlabel="judged on", ylabel="learned from")
        one.figure.colorbar(shown, ax=one, label=LABEL)


def draw_bars(axes: Any, arm: ArmMatrix) -> None:
    """Draw for each set the levels as bars with their intervals, and what they are after the adaptation as diamonds."""
    width = 0.8 / len(BAR_WORDS)
    for number, (name, words) in enumerate(BAR_WORDS.items()):
        places = [
            (place + (number - (len(BAR_WORDS) - 1) / 2) * width, bars.bars[name])
            for place, bars in enumerate(arm.bars.values())
            if name in bars.bars
        ]
        if not places:
            continue
        at, levels = zip(*places, strict=True)
        axes.bar(
            at, [bar.as_trained.mean for bar in levels], width * 0.92, color=COLOURS[number], label=words, alpha=0.75
        )
        _whiskers(axes, [x - width / 5 for x in at], [bar.as_trained for bar in levels], "black", "none")
        adapted = [(x, bar.adapted) for x, bar in places if bar.adapted is not None]
        if adapted:
            label = KINDS["adapted"] if name == "mean_single" else None  # it is named once
            _whiskers(axes, [x + width / 5 for x, _ in adapted], [one for _, one in adapted], COLOURS[6], "D", label)
    axes.axhline(0, color="grey", linewidth=1)
    counts = {in_lines(name, COLUMN): bars.n_images for name, bars in arm.bars.items()}
    axes.set_xticks(range(len(counts)), [f"{name}\n({count} images)" for name, count in counts.items()])
    axes.set(ylabel=LABEL)
    axes.grid(alpha=0.3, axis="y")
    axes.figure.legend(*axes.get_legend_handles_labels(), fontsize="small", ncols=2, loc="outside lower center")


def numbers(matrix: SetMatrix, arm: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table behind the pictures."""
    of_arm = matrix.arms[arm]
    for cell in of_arm.cells:
        yield from _numbers("matrix", " + ".join(cell.trained_on), cell.judged_on, cell)
    for name, bars in of_arm.bars.items():
        for of_bar, _, bar in bar_rows(bars):
            yield from _numbers(of_bar, bar.of, name, bar)


def in_lines(name: str, letters: int) -> str:
    """Return a name in lines of about so many letters, broken behind blanks and underscores."""
    lines = [""]
    for part in re.findall(r"[^_ ]+[_ ]?|[_ ]", name):
        if lines[-1] and len(lines[-1] + part.rstrip()) > letters:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _rows(arm: ArmMatrix) -> list[tuple[str, ...]]:
    return [*dict.fromkeys(tuple(cell.trained_on) for cell in arm.cells)]


def _values(arm: ArmMatrix, rows: list[tuple[str, ...]], sets: list[str], kind: str) -> np.ndarray:
    """Return the means of the cells: (rows, sets); NaN where there is none."""
    values = np.full((len(rows), len(sets)), np.nan)
    for cell in arm.cells:
        estimate = cell.as_trained if cell.in_domain else getattr(cell, kind)
        if estimate is not None:
            values[rows.index(tuple(cell.trained_on)), sets.index(cell.judged_on)] = estimate.mean
    return values


def _whiskers(axes: Any, at: Any, cells: list[Any], colour: str, marker: str, label: str | None = None) -> None:
    """Draw means with their intervals at some places."""
    means = np.array([cell.mean for cell in cells])
    ends = np.array([cell.ci95 or cell.ci95_over_images or (cell.mean, cell.mean) for cell in cells], dtype=float).T
    reach = np.maximum(0, [means - ends[0], ends[1] - means])
    axes.errorbar(at, means, yerr=reach, fmt=marker, markersize=4, capsize=2, linewidth=0.9, color=colour, label=label)


def _in_words(matrix: SetMatrix, arm: ArmMatrix) -> str:
    words = []
    for cell in arm.cells:
        adapted = f", adapted {cell.adapted.mean:.3f}" if cell.adapted else ""
        learned = learned_from(cell.trained_on, matrix.sets)
        words.append(f"learned from {learned}, judged on {cell.judged_on} {cell.as_trained.mean:.3f}{adapted}")
    return "; ".join(words)


def _numbers(panel: str, learned: str, name: str, levels: MatrixCell | Bar) -> Iterator[dict[str, Any]]:
    """Yield a mean as trained, and one after the adaptation, where there is one, with the ends of its interval."""
    for kind, estimate in (("as_trained", levels.as_trained), ("adapted", levels.adapted)):
        if estimate is not None:
            low, high = estimate.ci95 or estimate.ci95_over_images or (None, None)
            head = {"panel": panel, "learned_from": learned, "judged_on": name, "kind": kind}
            yield head | {"mean": estimate.mean, "ci95_low": low, "ci95_high": high}
