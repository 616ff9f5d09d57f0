"""Two sides that are compared set by set, from planted scores."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.evaluation.matrix_rows import RowScores
from entreg.evaluation.sides import Sides, compared
from entreg.results.schema import ONE_TRAINING, PAIRED, UNPAIRED

NOISE = np.random.default_rng(1).standard_normal((3, 4))


def table(level: float, seeds: tuple[int, ...] = (0, 1, 2), images: str = "wxyz", noise: float = 0.1) -> RowScores:
    """Each value is the level of its side, and the noise of its seed and image."""
    values = np.array([[level + noise * NOISE[seed % 3, "wxyz".index(name)] for name in images] for seed in seeds])
    return RowScores([(seed, seed) for seed in seeds], list(images), values)


def sides(*by: float, noise: float = 0.1) -> Sides:
    """On a, b, ... ours are higher by so much; ours alone have noise."""
    names = "abcd"[: len(by)]
    ours = {name: table(1 + difference, noise=noise) for name, difference in zip(names, by, strict=True)}
    found = Sides.of(ours, {name: table(1.0, noise=0) for name in names})
    assert found is not None
    return found


def test_the_mean_weighs_sets_equally_whatever_their_images():
    ours, base = {"a": table(1.3), "b": table(1.1, images="wx")}, {"a": table(1.0), "b": table(1.0, images="wxy")}
    found = Sides.of(ours, base)
    assert [found.difference(key).mean for key in ("a", "b", "mean", "new_set")] == pytest.approx([0.3, 0.1, 0.2, 0.2])
    assert [found.difference(key).n_images for key in ("a", "b", "mean", "new_set")] == [4, 2, 6, 2]


def test_trainings_that_have_values_on_all_sets_are_paired_by_their_seeds():
    one = Sides.of({"a": table(1.0), "b": table(1.0, seeds=(1, 2))}, {"a": table(0.0), "b": table(0.0)})
    assert one.trainings == ([(1, 1), (2, 2)], [(0, 0), (1, 1), (2, 2)])
    assert (one.difference("a").seeds, one.difference("a").n_seeds) == (PAIRED, 2)
    other = Sides.of({"a": table(1.0, seeds=(3, 4, 5))}, {"a": table(0.0)})
    assert other.difference("a").seeds == UNPAIRED
    alone = Sides.of({"a": table(1.0, seeds=(0,))}, {"a": table(0.0)}).difference("a")
    assert (alone.seeds, alone.ci95, alone.p_holm) == (ONE_TRAINING, None, None)


def test_without_values_or_a_training_of_all_sets_there_are_no_sides():
    known = {"a": table(1.0), "b": table(1.0)}
    assert Sides.of(known, {"a": table(1.0), "b": None}) is None
    assert Sides.of({"a": None, "b": None}, known) is None and Sides.of({}, {}) is None
    assert Sides.of({"a": table(1.0, seeds=(0,)), "b": table(1.0, seeds=(1,))}, known) is None


def test_p_values_are_corrected_over_the_pairs_that_a_set_judges():
    """Of two p values the smaller is doubled; on b one pair alone is judged; a planned mean is tested alone."""
    pairs = {"both": sides(0.02, 0.03), "one": sides(0.05)}
    found, planned = compared(pairs, ("mean", "a", "b")), compared(pairs, ("mean", "a", "b"), "one")
    assert {name: [*cells] for name, cells in found.items()} == {"both": ["mean", "a", "b"], "one": ["mean", "a"]}
    for key in ("mean", "a"):
        low, high = sorted((found[name][key] for name in pairs), key=lambda cell: cell.p)
        assert 0 < low.p < high.p
        assert (low.p_holm, high.p_holm) == pytest.approx((2 * low.p, max(2 * low.p, high.p)))
    assert found["both"]["b"].p_holm == found["both"]["b"].p
    assert planned["one"]["mean"].p_holm == planned["one"]["mean"].p and not planned["one"]["mean"].exploratory
    assert planned["both"]["mean"].exploratory and planned["one"]["a"].exploratory
