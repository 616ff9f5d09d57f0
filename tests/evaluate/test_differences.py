"""Arms against their baselines: on the same images, with intervals, and a verdict that both of them must support."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from entreg.config import Evaluation
from entreg.errors import UserError
from entreg.evaluate.arms import arms_of
from entreg.evaluate.differences import band, compare, verdict
from entreg.evaluate.statistics import MeanOverImages
from tests.evaluate.test_arms import run

ENTROPY = {"bias_entropy_nats": 1.0, "bias_entropy_without_center_bias_nats": 2.0}


def test_arms_on_different_images_are_an_error_not_an_intersection():
    arms, _ = arms_of([run("nll"), run("nll_entropy")])
    rows = {arm.name: {"ood": [[{"image": n, "ig_bits_per_fixation": 1.0 * k} for k, n in enumerate(images)]]}
            for arm, images in zip(arms, (["a", "b"], ["a", "c"]))}
    with pytest.raises(UserError, match="c"):
        compare(arms, rows, {arm.name: ENTROPY for arm in arms}, 100, 0)


def test_spread_over_seeds_is_of_the_same_seeds(caplog):
    arms, _ = arms_of([run("nll", 0), run("nll", 1), run("nll_entropy", 0), run("nll_entropy", 1)])
    rows = {arm.name: {"ood": [[{"image": n, "ig_bits_per_fixation": k * i + j} for j, n in enumerate("ab")]
                               for i in range(2)]} for k, arm in zip((1.0, 3.0), arms)}
    same = compare(arms, rows, {arm.name: ENTROPY for arm in arms}, 100, 0)["nll_entropy"].domains["ood"]["ig_difference_bits"]
    # seed 0 differs by 0, seed 1 by 2
    assert same.mean == 1 and same.std_over_seeds == pytest.approx(2**0.5) and same.n_seeds == 2
    arms, _ = arms_of([run("nll", 0), run("nll", 1), run("nll_entropy", 0), run("nll_entropy", 2)])
    other = compare(arms, rows, {arm.name: ENTROPY for arm in arms}, 100, 0)["nll_entropy"].domains["ood"]["ig_difference_bits"]
    assert other.mean == 1 and other.std_over_seeds is None
    assert "nll_entropy has seeds [0, 2], nll has [0, 1]" in caplog.text


def test_entropy_increases_with_and_without_the_centre_bias_by_hand():
    arms, _ = arms_of([run("nll"), run("nll_entropy")])
    rows = {arm.name: {"ood": [[{"image": "a", "ig_bits_per_fixation": 1.0}]]} for arm in arms}
    ours = {"bias_entropy_nats": 1.25, "bias_entropy_without_center_bias_nats": 1.8}
    found = compare(arms, rows, {"nll": ENTROPY, "nll_entropy": ours}, 100, 0)["nll_entropy"].entropy
    assert found["bias_entropy_increase_percent"] == pytest.approx(25)
    assert found["bias_entropy_without_center_bias_increase_nats"] == pytest.approx(-0.2)
    assert found["bias_entropy_without_center_bias_increase_percent"] == pytest.approx(-10)


@pytest.mark.parametrize("name, limit, ig, expected", [
    ("s", None, 1.0, "inside"), ("s", None, 2.1, "outside"), ("other", None, 1.0, "not applicable"),
    ("s", 40, 1.0, "not applicable"),
])
def test_a_band_speaks_of_its_whole_data_set_alone(name, limit, ig, expected):
    baseline = arms_of([run("nll")])[0][0]
    config = baseline.runs[0].config
    assert band(baseline, {})["verdict"] == "not applicable"
    config.evaluation = Evaluation(ig_band_bits=[0.5, 2.0], ig_band_data="s", ig_band_prior="kde", ig_band_source="me")
    config.data.name, config.data.limit = name, limit
    assert band(baseline, {"ig_kde_bits_per_fixation": SimpleNamespace(mean=ig)})["verdict"] == expected


def test_without_a_baseline_nothing_is_compared():
    arms, _ = arms_of([run("nll_entropy", lambda_entropy=x) for x in (0.3, 1.0)])
    rows = {arm.name: {"ood": [[{"image": "a", "ig_bits_per_fixation": 1.0}]]} for arm in arms}
    assert compare(arms, rows, {arm.name: ENTROPY for arm in arms}, 100, 0) == {}


@pytest.mark.parametrize("ci95, p_holm, better, expected", [
    ((0.01, 0.03), 0.04, "higher", "better"), ((-0.03, -0.01), 0.04, "higher", "worse"),
    ((0.01, 0.03), 0.04, "lower", "worse"), ((-0.03, -0.01), 0.04, "lower", "better"),
    # the interval of the mean excludes 0 and the test does not, or the other way round
    ((0.01, 0.03), 0.06, "higher", "no clear difference"), ((-0.01, 0.03), 0.04, "higher", "no clear difference"),
    (None, 0.04, "higher", "no interval"),
])
def test_a_verdict_needs_interval_and_test(ci95, p_holm, better, expected):
    assert verdict(MeanOverImages(0.0, 0.1, ci95, 9, "student-t"), p_holm, better) == expected
