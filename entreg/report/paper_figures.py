"""Figures for a paper, one column or two wide, each with the numbers behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from entreg.report import panels, set_pictures
from entreg.report.illustrations import Illustrations
from entreg.report.panels import MAP_COLOURS, RATIO, Mean, Prediction
from entreg.report.pictures import shown_arms
from entreg.report.tables import LADDER_WORDS, ig_differences
from entreg.results.answer import main_domain
from entreg.results.domains import domains
from entreg.results.schema import IG, IG_DIFFERENCE, Results, SetMatrix

WIDTHS_MM = (89, 183)  # one column and two columns of most journals
KINDS = ("pdf", "svg", "png")
MM_PER_INCH = 25.4
# 42: letters are embedded as a TrueType font, which journals ask for, and can be edited
STYLE: Any = {
    "font.size": 7,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "entreg",
    "axes.linewidth": 0.6,
}
EVERY_PX = 8  # of a map, each so many pixels one is in the table of its numbers


@dataclass(frozen=True)
class PaperFigure:
    """A figure. draw: makes it at a width (inches); numbers: the rows of the table behind it."""

    name: str
    draw: Callable[[float], Figure]
    numbers: Sequence[Mapping[str, Any]]

    def save(self, file: BinaryIO, width_mm: int, kind: str) -> None:
        """Draw the figure and write it; kind: one of KINDS. The same numbers give the same bytes."""
        with mpl.rc_context(STYLE):
            metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
            self.draw(width_mm / MM_PER_INCH).savefig(file, format=kind, dpi=300, metadata=metadata)


def figures_of(results: Results, shown: Illustrations) -> list[PaperFigure]:
    """Return the figures of an evaluation: waterfall, matrix, differences, curves, bias maps, sets and predictions."""
    arms = shown_arms(list(results.arms), results.main_arm)
    found = [_waterfall(results), _matrix(results), _differences(results), _curves(shown), _bias_maps(shown, arms)]
    found += [_sets(results.matrix, arm, n) for n, arm in enumerate(results.matrix.arms)] if results.matrix else []
    for domain, rows in shown.examples.items():
        found += [_predictions(domain, rows, arms, over_image) for over_image in (False, True)]
    return [figure for figure in found if figure is not None]


def side_by_side(evaluations: Mapping[str, Results]) -> PaperFigure | None:
    """Return the main IG difference of every arm of several evaluations, by the evaluation's name."""
    cells = {}
    for name, results in evaluations.items():
        words, differences = domains(results)[main_domain(results)], ig_differences(results)
        if words in differences:
            cells[f"{name}, {words}"] = differences[words]
    return _intervals("side_by_side", cells) if cells else None


def _waterfall(results: Results) -> PaperFigure | None:
    """Show what the IG difference of each shown arm is made of in the main domain."""
    domain = main_domain(results)
    judged = {arm: one.domains[domain] for arm, one in results.comparisons.items() if domain in one.domains}
    compared = {arm: one for arm, one in judged.items() if one.ladder}
    arms = shown_arms(list(compared), results.main_arm)
    if not arms:
        return None
    parts: dict[str, dict[str, Mean]] = {
        arm: {words: (compared[arm].ladder or {})[part] for part, words in LADDER_WORDS.items()} for arm in arms
    }
    totals = {arm: compared[arm].differences[IG_DIFFERENCE] for arm in arms}

    def draw(width: float) -> Figure:
        figure = Figure(figsize=(width, 1.5 * len(arms) + 0.3), layout="constrained")
        for axes, arm in zip(figure.subplots(len(arms), 1, squeeze=False, sharex=True).flat, arms, strict=True):
            panels.draw_waterfall(axes, parts[arm], totals[arm])
            axes.set_title(arm, fontsize="medium", parse_math=False)
            axes.label_outer()
        return figure

    numbers = [
        {"arm": arm, "domain": domain, "part": part} | _numbers(cell)
        for arm in arms
        for part, cell in [*parts[arm].items(), ("difference", totals[arm])]
    ]
    return PaperFigure("waterfall", draw, numbers)


def _matrix(results: Results) -> PaperFigure:
    """Show the IG of each arm in each domain, as colours with their numbers."""
    words, arms = domains(results), list(results.arms)
    # an arm may not have been judged in a domain
    cells = {
        (arm, key): results.arms[arm].domains[key].metrics[IG]
        for arm in arms
        for key in words
        if key in results.arms[arm].domains
    }
    means = np.array([[cells[arm, key].mean if (arm, key) in cells else np.nan for key in words] for arm in arms])

    def draw(width: float) -> Figure:
        figure = Figure(figsize=(width, 0.9 + 0.3 * len(arms)), layout="constrained")
        axes = figure.subplots()
        shown = axes.imshow(means, cmap=MAP_COLOURS, aspect="auto")
        middle = (np.nanmin(means) + np.nanmax(means)) / 2
        for (row, column), mean in np.ndenumerate(means):
            text, colour = ("–", "black") if np.isnan(mean) else (f"{mean:.3f}", "black" if mean > middle else "white")
            axes.text(column, row, text, ha="center", va="center", color=colour)
        axes.set_xticks(range(len(words)), [name.replace(" (", "\n(") for name in words.values()])
        axes.set_yticks(range(len(arms)), arms)
        figure.colorbar(shown, ax=axes, label="IG (bit/fixation)")
        return figure

    numbers = [{"arm": arm, "domain": key} | _numbers(cell) for (arm, key), cell in cells.items()]
    return PaperFigure("matrix", draw, numbers)


def _sets(matrix: SetMatrix, arm: str, number: int) -> PaperFigure:
    """Show the matrix of sets as trained and adapted, and the levels on each set that was left out."""
    of_arm = matrix.arms[arm]
    rows = len({tuple(cell.trained_on) for cell in of_arm.cells})

    def draw(width: float) -> Figure:
        wide = width * MM_PER_INCH > 120
        mosaic: list[Any] = [["as_trained", "adapted"]] if wide else [["as_trained"], ["adapted"]]
        mosaic += [["bars"] * len(mosaic[0])] if of_arm.bars else []
        heights = [0.9 + 0.22 * rows] * (1 if wide else 2) + ([2.3] if of_arm.bars else [])
        figure = Figure(figsize=(width, sum(heights)), layout="constrained")
        axes = figure.subplot_mosaic(mosaic, height_ratios=heights)
        set_pictures.draw_matrices([axes["as_trained"], axes["adapted"]], matrix, of_arm)
        if of_arm.bars:
            set_pictures.draw_bars(axes["bars"], of_arm)
        return figure

    return PaperFigure(f"sets{f'_{number + 1}' * (number > 0)}", draw, [*set_pictures.numbers(matrix, arm)])


def _differences(results: Results) -> PaperFigure | None:
    """Show the IG difference of each arm to its baseline in each domain."""
    cells = ig_differences(results)
    return _intervals("differences", cells) if cells else None


def _intervals(name: str, cells: Mapping[str, Mapping[str, Mean]]) -> PaperFigure:
    """Show differences with their intervals; cells: by the name of the series, then by arm."""

    def draw(width: float) -> Figure:
        height = 0.9 + 0.3 * len(panels.arms_of(cells)) + 0.15 * len(cells)
        columns = 2 if width * MM_PER_INCH > 120 else 1
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        panels.draw_differences(axes, cells)
        names = axes.get_legend_handles_labels()
        figure.legend(*names, fontsize="small", loc="outside upper right", ncols=columns)
        return figure

    numbers = [
        {"series": series, "arm": arm} | _numbers(cell)
        for series, of_series in cells.items()
        for arm, cell in of_series.items()
    ]
    return PaperFigure(name, draw, numbers)


def _curves(shown: Illustrations) -> PaperFigure:
    """Show the curves of all trainings by epoch."""

    def draw(width: float) -> Figure:
        rows, columns = (2, 2) if width * MM_PER_INCH > 120 else (4, 1)
        figure = Figure(figsize=(width, 1.7 * rows), layout="constrained")
        for axes, (keys, label) in zip(figure.subplots(rows, columns).flat, panels.LOSS_PANELS, strict=True):
            panels.draw_history(axes, shown.histories, keys, label)
        return figure

    numbers = [
        {"arm": arm, "training": number} | dict(row)
        for arm, trainings in shown.histories.items()
        for number, rows in enumerate(trainings)
        for row in rows
    ]
    return PaperFigure("loss_curves", draw, numbers)


def _bias_maps(shown: Illustrations, arms: Sequence[str]) -> PaperFigure:
    """Show the bias map of the first training of each arm, as ratios to the uniform density on one colour scale."""
    maps = {arm: shown.bias_maps[arm] for arm in arms}
    greatest = panels.greatest_ratio(maps.values())

    def draw(width: float) -> Figure:
        columns = min(len(arms), 2 if width * MM_PER_INCH < 120 else 4)
        rows = math.ceil(len(arms) / columns)
        figure = Figure(figsize=(width, rows * (0.35 + 0.75 * width / (columns + 0.3))), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (arm, log_density) in zip(grid.flat, maps.items(), strict=False):
            drawn = panels.draw_ratio(axes, log_density, greatest)
            axes.set_title(arm, fontsize="medium", parse_math=False)
            axes.label_outer()
        for axes in list(grid.flat)[len(arms) :]:
            axes.set_axis_off()
        figure.colorbar(drawn, ax=grid, label=RATIO, shrink=0.7, panchor=False)
        return figure

    numbers = [
        {"y_px": y, "x_px": x} | {arm: float(np.exp(one[y, x]) * one.size) for arm, one in maps.items()}
        for y in range(0, next(iter(maps.values())).shape[0], EVERY_PX)
        for x in range(0, next(iter(maps.values())).shape[1], EVERY_PX)
    ]
    return PaperFigure("bias_maps", draw, numbers)


def _predictions(
    domain: str, rows: Sequence[tuple[str, Mapping[str, Prediction]]], arms: Sequence[str], over_image: bool
) -> PaperFigure:
    """Show the best, median and worst image with fixations and what each arm predicts, on one colour scale."""
    scale = panels.scale_of([predictions[arm] for _, predictions in rows for arm in arms])
    alpha = 0.6 if over_image else None

    def draw(width: float) -> Figure:
        columns = 1 + len(arms)
        side = width / (columns + 0.4)
        figure = Figure(figsize=(width, len(rows) * (0.72 * side + 0.25)), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        dot = 6 * (side / 2.9) ** 2
        for of_row, (label, predictions) in zip(grid, rows, strict=True):
            first = predictions[arms[0]]
            panels.draw_image(of_row[0], first, dot)
            of_row[0].set_title(f"{label}: {first.name}", fontsize="small", parse_math=False)
            for axes, arm in zip(of_row[1:], arms, strict=True):
                if over_image:
                    axes.imshow(first.image)
                drawn = panels.draw_density(axes, predictions[arm], scale, alpha, dot)
                axes.set_title(arm, fontsize="small", parse_math=False)
        figure.colorbar(drawn, ax=grid, label="bit over uniform", shrink=0.6, panchor=False)
        return figure

    numbers = [
        {"label": label, "image": first.name, "x_px": int(x), "y_px": int(y)}
        | {arm: float(predictions[arm].bits_over_uniform[int(y), int(x)]) for arm in arms}
        for label, predictions in rows
        for first in (predictions[arms[0]],)
        for y, x in zip(first.y, first.x, strict=True)
    ]
    return PaperFigure(f"predictions{'_over_image' * over_image}_{domain.replace('.', '_')}", draw, numbers)


def _numbers(cell: Mean) -> dict[str, Any]:
    """Return a mean with the ends of its interval, and what the interval is over."""
    ends = cell.ci95 or cell.ci95_over_images or (None, None)
    over = "images and seeds" if cell.ci95 else "images" if cell.ci95_over_images else None
    return {"mean": cell.mean, "ci95_low": ends[0], "ci95_high": ends[1], "interval_over": over}
