"""Pooled models against those of one set, from planted scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from entreg.evaluation.matrix_rows import ArmRows
from entreg.evaluation.pooled_or_single import pooled_or_single, why_exploratory
from entreg.results.schema import BETTER, NO_VERDICT, SINGLE_SETS, Plan
from tests.evaluation.judged_sets import ROWS, SETS, judged

PLANNED = Plan("nll", "left_out", "ig_bits_per_fixation", [], [], None, SINGLE_SETS)
ON = {"a": 0.2, "b": 0.3, "c": 0.4}  # what pooling brings on each set


def level(row: tuple[str, ...], name: str) -> float:
    """Single models score 0.1 less and more than 1 on average, pooled ones what pooling brings more than 1."""
    if len(row) == 1:
        return 1.0 + (0.1 if row[0] == min(other for other in SETS if other != name) else -0.1)
    return 1.0 + (ON[name] if len(row) == 2 else 0)


def compared(plan: Plan = PLANNED, **settings):
    return pooled_or_single({"nll": ArmRows(judged(level, **settings))}, SETS, plan)["nll"]


def test_pooled_models_stand_against_the_mean_of_single_ones_set_by_set():
    found = compared(scatter=0.02)
    for cells in (found.as_trained, found.adapted):
        assert {name: cells[name].mean for name in SETS} == pytest.approx(ON, abs=0.05)
        assert cells["mean"].mean == pytest.approx(np.mean([cells[name].mean for name in SETS]))
        assert cells["mean"].n_images == 36 and cells["new_set"].n_images == 3
        assert cells["new_set"].mean == pytest.approx(cells["mean"].mean)
        assert cells["mean"].verdict == BETTER and cells["mean"].n_seeds == 3
    # three sets: Student's factor 4.3 on means that differ by 0.1 from set to set
    low, high = found.adapted["new_set"].ci95
    assert (high - low) / 2 == pytest.approx(4.303 * 0.1 / 3**0.5, rel=0.4)


def test_the_mean_after_the_adaptation_alone_is_the_planned_comparison():
    found = compared(scatter=0.02)
    planned = [(when, key) for when, cells in vars(found).items() if isinstance(cells, dict) for key in cells]
    assert [(when, key) for when, key in planned if not getattr(found, when)[key].exploratory] == [("adapted", "mean")]
    unplanned = compared(dataclasses.replace(PLANNED, arm=None), scatter=0.02)
    assert unplanned.adapted["mean"].exploratory


def test_other_numbers_of_images_make_it_exploratory_and_are_named():
    found = compared(scatter=0.02, training_images=lambda row: 30 * len(row))
    assert (found.pooled_images, found.single_images) == ([60], [30]) and found.adapted["mean"].exploratory
    assert why_exploratory(found).startswith("the pooled models learned from 60 images and the single ones from 30")
    assert why_exploratory(compared(scatter=0.02)) is None


def test_a_single_training_shows_nothing():
    found = compared(scatter=0.02, seeds=(0,))
    assert found.adapted["mean"].verdict == NO_VERDICT and found.adapted["mean"].ci95 is None


def test_trainings_that_lack_a_row_do_not_count():
    some = [one for one in judged(level, scatter=0.02) if (one.trained_on, one.replicate[0]) != (("b", "c"), 2)]
    found = pooled_or_single({"nll": ArmRows(some)}, SETS, PLANNED)["nll"]
    assert found.adapted["mean"].n_seeds == 2 and found.adapted["mean"].seeds == "paired by seed"


def test_p_values_of_several_arms_are_corrected_for_their_number():
    arms = {name: ArmRows(judged(level, scatter=0.2)) for name in ("nll", "other", "third")}
    cells = {name: found.as_trained["mean"] for name, found in pooled_or_single(arms, SETS, PLANNED).items()}
    assert [cell.p_holm for cell in cells.values()] == pytest.approx([min(1, 3 * cells["nll"].p)] * 3)


def test_without_all_rows_there_is_no_comparison():
    for missing in (("a",), ("a", "c")):
        rows = ArmRows(judged(level, rows=[row for row in ROWS if row != missing]))
        assert pooled_or_single({"nll": rows}, SETS, PLANNED) == {}
    assert pooled_or_single({"nll": ArmRows(judged(level))}, SETS[:2], PLANNED) == {}
    assert why_exploratory(None).startswith("models that learned from one set, or from all but one, are missing")


def test_without_a_ladder_it_is_compared_as_trained_alone():
    some = [dataclasses.replace(one, adapted=None) for one in judged(level, scatter=0.02)]
    found = pooled_or_single({"nll": ArmRows(some)}, SETS, PLANNED)["nll"]
    assert found.adapted is None and "too few images" in why_exploratory(found)
