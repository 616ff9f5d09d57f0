"""Print the matrix of sets for the terminal: what was learned from, by what is judged."""

from __future__ import annotations

from entreg.columns import aligned
from entreg.report import tables
from entreg.results.answer import WITHOUT_ORDER, pooled_or_single
from entreg.results.domains import learned_from
from entreg.results.schema import IG, MEAN, NEW_SET, ONE_ORDER, ArmMatrix, Bar, Results, SetBars, ShareClosed

BAR_WORDS = {
    "ceiling": "ceiling: the set itself",
    "pooled": "all other sets",
    "best_single": "best other set",
    "mean_single": "one other set, mean",
    "centre_bias": "centre bias alone",
}
KINDS = {"as_trained": "as trained", "adapted": "after the adaptation"}
SET_WORDS = {MEAN: "mean of these sets", NEW_SET: "a set not yet seen"}


def terminal(results: Results) -> list[str]:
    """Return the lines of the matrix of each arm, and what pooling brings; nothing where there is no matrix."""
    if results.matrix is None:
        return []
    lines = []
    for name, arm in results.matrix.arms.items():
        lines += ["", f"{name}: IG (bit/fixation) by what was learned from and what is judged; adapted to it in ()"]
        lines += _cells(arm, results.matrix.sets)
        lines += [f"{of_set}: {share_in_words(bars.closed)}" for of_set, bars in arm.bars.items() if bars.closed]
    if compared := against_baseline(results):
        what = (
            "IG differences (bit/fixation) by what was learned from, mean of the sets that were not; all exploratory:"
        )
        lines += ["", what, *compared]
    if (found := pooled_or_single(results)) is not None:
        arm_name, cell, pooled = found
        after = ", after the adaptation" if pooled.adapted else ""
        what = f"All others pooled minus one other on average, {arm_name}, mean of the sets{after}"
        lines += ["", f"{what}: {tables.difference(cell, results.metrics[IG])}"]
    return lines


def against_baseline(results: Results) -> list[str]:
    """Return in words how arms differ from their baselines by what the models of both learned from, on the mean."""
    if results.matrix is None:
        return []
    rows = [(name, one) for name, arm in results.matrix.arms.items() for one in arm.against_baseline or []]
    lines = []
    for kind, words in KINDS.items():
        cells = [(name, one, of_row[MEAN]) for name, one in rows if (of_row := getattr(one, kind)) is not None]
        tested = sum(cell.p_holm is not None for _, _, cell in cells)
        found: dict[str, dict[str, list[str]]] = {}
        for name, one, cell in cells:
            said = f"learned from {learned_from(one.trained_on, results.matrix.sets)} ({cell.mean:+.4f})"
            found.setdefault(f"{name} against {one.baseline}", {}).setdefault(cell.verdict, []).append(said)
        for pair, by_verdict in found.items():
            verdicts = "; ".join(f"{verdict}: {', '.join(said)}" for verdict, said in by_verdict.items())
            corrected = f", p corrected for {tested} comparisons" if tested > 1 else ""
            lines.append(f"{pair}, {words}{corrected}: {verdicts}.")
    return lines


def share_in_words(closed: ShareClosed) -> str:
    """Return the share of a gap that the adaptation closes, in words."""
    gap = f"the gap between the set's own models and those of all other sets is {closed.gap.mean:+.3f} bit"
    if closed.share is None or closed.ci95 is None:
        return f"{gap}; no share of it is given, since {closed.why}."
    low, high = closed.ci95
    order = f"; {WITHOUT_ORDER}" if closed.gap.seeds.endswith(ONE_ORDER) else ""
    return f"{gap}, of which the adaptation closes {closed.share:.0%} (95 % interval {low:.0%} to {high:.0%}{order})."


def bar_rows(bars: SetBars) -> list[tuple[str, str, Bar]]:
    """Return the levels on a set in their order: the name of each, what it is in words, and its numbers."""
    return [(name, words, bars.bars[name]) for name, words in BAR_WORDS.items() if name in bars.bars]


def _cells(arm: ArmMatrix, sets: list[str]) -> list[str]:
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for cell in arm.cells:
        adapted = "" if cell.adapted is None else f" ({cell.adapted.mean:.3f})"
        text = f"{cell.as_trained.mean:.3f}{'*' * cell.in_domain}{adapted}"
        rows.setdefault(tuple(cell.trained_on), {})[cell.judged_on] = text
    table = [["learned from", *sets]]
    table += [[learned_from(row, sets), *(of_row.get(name, "–") for name in sets)] for row, of_row in rows.items()]
    return [*aligned(table), "* in domain: held-out images"]
