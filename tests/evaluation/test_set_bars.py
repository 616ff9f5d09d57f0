"""Five levels of information gain on a set that was left out, from planted scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from entreg.evaluation.matrix_rows import ArmRows, Judged
from entreg.evaluation.set_bars import bars
from tests.evaluation.judged_sets import SETS, judged, rest_of

# on the set a; in domain it is 2
LEVELS = {("b",): 0.4, ("c",): 0.8, ("b", "c"): 1.0}
FIRST_FOUR = -8 / 11  # the mean effect of the images that are validated on


def level(row: tuple[str, ...], name: str) -> float:
    return 2.0 if name in row else LEVELS.get(row, 0.0)


def test_all_bars_stand_on_the_images_that_judge_all_models():
    found = bars(ArmRows(judged(level)), SETS, "a")
    assert found.n_images == 4
    expected = {"ceiling": 2.0, "pooled": 1.0, "best_single": 0.8, "mean_single": 0.6}
    means = {name: bar.as_trained.mean - FIRST_FOUR for name, bar in found.bars.items()}
    assert means == pytest.approx({**expected, "centre_bias": 0.25 - FIRST_FOUR})
    after = {name: bar.adapted.mean - FIRST_FOUR for name, bar in found.bars.items() if bar.adapted}
    assert after == pytest.approx({name: expected[name] + 0.5 for name in expected if name != "ceiling"})
    assert {name: bar.of for name, bar in found.bars.items()} == {
        "ceiling": "a itself, its validation images",
        "pooled": "b + c",
        "best_single": "c",
        "mean_single": "b, c",
        "centre_bias": "of a, without a model",
    }


def test_half_of_a_gap_of_one_bit_is_closed_by_half_a_bit():
    found = bars(ArmRows(judged(level, scatter=0.01)), SETS, "a").closed
    assert found.gap.mean == pytest.approx(1.0, abs=0.05) and found.why is None
    assert found.ci95[0] < found.share < found.ci95[1] and found.share == pytest.approx(0.5, abs=0.05)


def test_a_cross_validation_is_a_ceiling_on_all_images():
    folds = [
        Judged(f"fold{i}", ("a",), (seed, seed), "folds.a", [f"a{i}"], np.array([3.0]), None, np.zeros(1), 9)
        for seed in (0, 1, 2)
        for i in range(12)
    ]
    found = bars(ArmRows([*judged(level), *folds]), SETS, "a")
    assert found.n_images == 12 and found.bars["ceiling"].as_trained.mean == pytest.approx(3.0)
    assert found.bars["ceiling"].of == "a itself, each image by the fold that left it out"
    assert found.bars["pooled"].as_trained.mean == pytest.approx(1.0)
    assert found.closed.gap.mean == pytest.approx(2.0)


def test_the_best_set_after_the_adaptation_is_named_where_it_is_another():
    some = [
        dataclasses.replace(one, adapted=one.adapted + 1)
        if one.trained_on == ("b",) and one.adapted is not None
        else one
        for one in judged(level)
    ]
    bar = bars(ArmRows(some), SETS, "a").bars["best_single"]
    assert bar.of == "c; adapted: b"
    assert bar.adapted.mean - FIRST_FOUR == pytest.approx(0.4 + 0.5 + 1)


@pytest.mark.parametrize(
    "rows, names",
    [
        ([("b", "c")], {"pooled", "centre_bias"}),
        ([("a",), ("b", "c")], {"ceiling", "pooled", "centre_bias"}),
        ([("b",), ("c",)], {"best_single", "mean_single", "centre_bias"}),
    ],
)
def test_what_nobody_trained_has_no_bar(rows, names):
    found = bars(ArmRows(judged(level, rows=rows)), SETS, "a")
    assert {*found.bars} == names and (found.closed is not None) == ({"ceiling", "pooled"} <= names)


@pytest.mark.parametrize("rows", [[("b",)], [("a",), ("b",)], [("a",), ("b",), ("a", "b")]])
def test_a_ceiling_beside_some_of_the_other_sets_is_no_level_of_a_set_that_was_left_out(rows):
    """Nobody learned from c, so that neither all other sets nor one of them on average have a level."""
    assert bars(ArmRows(judged(level, rows=rows)), SETS, "a") is None


def test_without_an_image_that_judges_all_models_there_are_no_bars():
    """Those that are validated on were seen by models of another set."""
    some = [
        dataclasses.replace(one, images=[f"other{name}" for name in one.images]) if one.domain == "in_domain.a" else one
        for one in judged(level)
    ]
    assert bars(ArmRows(some), SETS, "a") is None


def test_a_set_that_nobody_left_out_has_no_bars():
    assert bars(ArmRows(judged(level, rows=[("a",), SETS])), SETS, "a") is None
    assert rest_of("a") == ("b", "c")
