"""The maps and predictions that a page shows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from entreg.evaluation import illustrations, scores
from tests.evaluation.conftest import SIZE, evaluated_runs
from tests.evaluation.photos import FIXATIONS, FOREIGN, OWN

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_mean_density_is_that_of_the_predictions_and_its_distance_is_a_kl(evaluator, run_of, cache, left):
    """By hand for the regularised arm, which has one training: full maps, averaged, against the set's KDE."""
    run = run_of(3, "loss=nll_entropy")
    alone = evaluated_runs(cache, run)
    loaded = alone.load(run)
    model, part = loaded.model, loaded.study.foreign("foreign")
    kept = [i for i, name in enumerate(part.names) if name in left["ood.foreign"] and part.sizes[i] == SIZE]
    assert 10 < len(kept) < 20  # the others are portraits
    mean = np.mean([scores.predict(model, part, i).full()[0].double().exp().numpy() for i in kept], axis=0)
    maps = illustrations.mean_densities(evaluator)["ood.foreign"]
    assert list(maps) == ["fixations", "nll", "nll_entropy"]
    np.testing.assert_allclose(np.exp(maps["nll_entropy"]), mean, rtol=1e-4)
    kde = np.exp(maps["fixations"].astype(np.float64))
    assert kde.sum() == pytest.approx(1, abs=1e-4)
    (kl_bits,) = evaluator.evidence()["nll_entropy"].kl_bits["ood.foreign"]
    assert kl_bits == pytest.approx((kde * np.log2(kde / mean)).sum(), abs=1e-4)
    assert list(evaluator.evidence()["nll"].kl_bits) == ["ood.foreign"]


def test_the_mean_density_of_an_arm_is_that_over_its_trainings(evaluator, run_of, evaluator_of):
    each = [evaluator_of(run_of(weights, "loss=nll", f"seed={seed}")) for weights, seed in ((1, 0), (2, 1))]
    mean = np.mean([np.exp(illustrations.mean_densities(one)["ood.foreign"]["nll"]) for one in each], axis=0)
    np.testing.assert_allclose(np.exp(illustrations.mean_densities(evaluator)["ood.foreign"]["nll"]), mean, rtol=1e-4)
    both = [one.evidence()["nll"].kl_bits["ood.foreign"][0] for one in each]
    assert evaluator.evidence()["nll"].kl_bits["ood.foreign"] == pytest.approx(both)


def test_examples_are_the_best_the_median_and_the_worst_image_of_the_baseline(evaluator):
    rows = evaluator.evidence()["nll"].rows["ood.foreign"]
    means = {
        one["image"]: (one["ig_bits_per_fixation"] + other["ig_bits_per_fixation"]) / 2
        for one, other in zip(*rows, strict=True)
    }
    ranked = sorted(means, key=lambda name: -means[name])
    examples = illustrations.examples(evaluator)["ood.foreign"]
    assert [label for label, _ in examples] == ["best", "median", "worst"]
    assert [shown["nll_entropy"].name for _, shown in examples] == [ranked[0], ranked[10], ranked[-1]]
    first = next(row for row in rows[0] if row["image"] == ranked[0])
    best = examples[0][1]["nll"]
    assert best.title == f"nll: {first['ig_bits_per_fixation']:.2f} bit/fixation".replace(": -", ": −")
    assert len(best.x) == FIXATIONS and np.exp(best.log_density).sum() == pytest.approx(1, abs=1e-4)


def test_a_bias_map_is_the_first_trainings(evaluator, run_of, evaluator_of):
    maps = illustrations.bias_maps(evaluator)
    alone = illustrations.bias_maps(evaluator_of(run_of(1, "loss=nll")))["nll"]
    assert list(maps) == ["nll", "nll_entropy"] and np.array_equal(maps["nll"], alone)
    assert maps["nll"].shape == SIZE and np.exp(maps["nll"]).sum() == pytest.approx(1, abs=1e-4)
    assert not np.array_equal(maps["nll"], maps["nll_entropy"])
    by_size = evaluator.evidence()["nll"].maps[0]
    assert list(by_size) == [SIZE, SIZE[::-1]]
    assert float(by_size[SIZE].with_center_bias.entropy_nats()) < math.log(72 * 96)


def test_the_data_sets_are_shown_as_they_are_stored(evaluator):
    shown = illustrations.looks(evaluator)
    assert {key: look.dataset.name for key, look in shown.items()} == {"in_domain": "own", "ood.foreign": "foreign"}
    assert (len(shown["in_domain"].images), len(shown["ood.foreign"].images)) == (len(OWN), len(FOREIGN))
    assert shown["in_domain"].dataset.rows_read == FIXATIONS * len(OWN)
