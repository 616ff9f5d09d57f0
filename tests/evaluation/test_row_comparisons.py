"""Arms compared with their baselines row by row, from planted scores."""

from __future__ import annotations

import dataclasses

import pytest

from entreg.evaluation.matrix_rows import ArmRows
from entreg.evaluation.row_comparisons import row_comparisons
from entreg.results.schema import BETTER, UNDECIDED, WORSE
from tests.evaluation.judged_sets import ROWS, SETS, judged

BY = {("a",): 0.4, ("b",): -0.2, ("a", "b"): 0.1}  # what the arm brings models that learned from these sets
BASELINES = {"nll_entropy": "nll"}


def baseline(row: tuple[str, ...], name: str) -> float:
    return 1.0 + 0.1 * len(row)


def regularised(row: tuple[str, ...], name: str) -> float:
    """On c it brings 0.1 more than on other sets."""
    return baseline(row, name) + BY.get(row, 0.0) + 0.1 * (name == "c")


def compared(gain: float = 0.5, arms: dict | None = None, baselines: dict = BASELINES, scatter: float = 0.0):
    """The arm after the adaptation gains `gain` and the baseline 0.5, so that as much more is left of the former."""
    both = {"nll": judged(baseline), "nll_entropy": judged(regularised, gain=gain, scatter=scatter)}
    return row_comparisons({name: ArmRows(some) for name, some in (both | (arms or {})).items()}, baselines, SETS)


def test_each_row_is_compared_on_the_sets_that_it_did_not_learn_from_and_on_their_mean():
    (found,) = compared(gain=0.2).values()
    assert [tuple(one.trained_on) for one in found] == [row for row in ROWS if row != SETS]
    assert all(one.baseline == "nll" for one in found)
    by_row = {tuple(one.trained_on): one for one in found}
    a, ab = by_row["a",], by_row["a", "b"]
    assert {key: cell.mean for key, cell in a.as_trained.items()} == pytest.approx({"mean": 0.45, "b": 0.4, "c": 0.5})
    assert {key: cell.mean for key, cell in a.adapted.items()} == pytest.approx({"mean": 0.15, "b": 0.1, "c": 0.2})
    assert {key: cell.mean for key, cell in ab.as_trained.items()} == pytest.approx({"mean": 0.2, "c": 0.2})
    assert (a.adapted["mean"].n_images, a.adapted["mean"].n_seeds, a.adapted["mean"].seeds) == (24, 3, "paired by seed")


def test_p_values_are_corrected_over_all_rows_and_arms_as_trained_and_adapted_by_themselves():
    """Twelve comparisons: the smallest p counts twelve times. Nothing was planned, so all are exploratory."""
    third = judged(regularised, gain=0.4, scatter=0.3)
    found = compared(arms={"third": third}, baselines={**BASELINES, "third": "nll"}, scatter=0.2)
    assert [*found] == ["nll_entropy", "third"]
    for when in ("as_trained", "adapted"):
        cells = [getattr(one, when)["mean"] for rows in found.values() for one in rows]
        assert len(cells) == 12 and all(cell.exploratory for cell in cells)
        smallest = min(cells, key=lambda cell: cell.p)
        assert smallest.p_holm == pytest.approx(12 * smallest.p) and max(cell.p_holm for cell in cells) <= 1
    on_c = [one.adapted["c"] for rows in found.values() for one in rows if "c" in one.adapted]
    assert len(on_c) == 6 and min(cell.p_holm for cell in on_c) == pytest.approx(6 * min(cell.p for cell in on_c))


def test_the_verdict_is_that_of_the_corrected_p():
    (found,) = compared(scatter=0.02).values()
    verdicts = {tuple(one.trained_on): one.adapted["mean"].verdict for one in found}
    assert (verdicts["a",], verdicts["b",]) == (BETTER, WORSE)
    (unsure,) = compared(scatter=0.5).values()
    assert {one.adapted["mean"].verdict for one in unsure} == {UNDECIDED}


def test_a_row_that_the_baseline_has_not_and_an_arm_without_a_baseline_are_not_compared():
    some = judged(baseline, rows=[("a",), ("b", "c"), SETS])
    (found,) = compared(arms={"nll": some}).values()
    assert [one.trained_on for one in found] == [["a"], ["b", "c"]]
    assert compared(baselines={}) == {}


def test_without_a_ladder_they_are_compared_as_trained_alone():
    """One set without a ladder is enough for the rows that it judges."""
    some = [dataclasses.replace(one, adapted=None) if one.domain == "left_out.c" else one for one in judged(baseline)]
    (found,) = compared(arms={"nll": some}).values()
    assert {tuple(one.trained_on): one.adapted is None for one in found} == {
        row: "c" not in row for row in ROWS if row != SETS
    }
