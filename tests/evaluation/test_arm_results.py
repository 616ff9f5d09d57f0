"""The results of an arm by itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from entreg.config import Config, Data
from entreg.evaluation.adaptation import SUBSETS
from entreg.evaluation.arm_results import by_category, explained
from entreg.evaluation.statistics import crossed
from entreg.losses import nll
from entreg.results.schema import Category
from entreg.results.writing import plain
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun
from tests.evaluation.conftest import values
from tests.report.findings import BROUGHT, findings


def mean(value: float) -> SimpleNamespace:
    return SimpleNamespace(mean=value)


def history(*rows: tuple[float, float]) -> FinishedRun:
    keys = ("train_nll_nats", "validation_nll_nats")
    state = {"history": [dict(zip(keys, row, strict=True)) for row in rows]}
    return FinishedRun(RunFolder(Path("x")), Config(data=Data(name="x"), loss=nll.Settings()), state)


@pytest.mark.parametrize("last, diverged", [((11.0, 11.5), False), ((12.5, 11.5), True), ((11.0, 12.1), True)])
def test_a_run_has_diverged_where_a_final_loss_is_above_the_first_epochs(last, diverged):
    stability = history((12.0, 12.0), (11.2, 11.3), last).stability()
    assert stability["diverged"] is diverged and stability["epochs"] == 3
    assert stability["best_validation_nll_nats"] == 11.3
    assert stability["last_minus_best_nats"] == pytest.approx(last[1] - 11.3)


def test_the_share_of_the_explainable_is_a_ratio_of_means():
    """1 of 2 and 3 of 3 bit: 4/5 together, where the mean of the ratios would be 3/4."""
    means = {"ig_bits_per_fixation": mean((1 + 3) / 2), "gold_ig_bits_per_fixation": mean((2 + 3) / 2)}
    assert explained(means) == {"share_of_gold": pytest.approx(0.8)}
    assert explained(means | {"gold_ig_bits_per_fixation": mean(-0.1)}) == {}
    of_oracle = {"ig_bits_per_fixation": mean(1), "oracle_ig_bits_per_fixation": mean(4)}
    assert explained(of_oracle) == {"share_of_oracle": 0.25}


def test_categories_are_averaged_over_seeds_then_images():
    seeds = [
        [{"category": c, "ig_bits_per_fixation": v + shift} for c, v in (("Art", 1.0), ("Social", 5.0), ("Art", 2.0))]
        for shift in (0.0, 1.0)
    ]
    assert by_category(seeds) == {"Art": Category(2.0, 2), "Social": Category(5.5, 1)}
    assert by_category([[{"category": None, "ig_bits_per_fixation": 1.0}]]) == {}


def test_the_mean_over_the_foreign_sets_counts_each_alike(tmp_path):
    content = findings(tmp_path, foreign=2)
    arm = plain(content.results)["arms"]["nll_entropy"]
    sets = [values(content, "nll_entropy", f"ood.{name}", "nss") for name in ("elsewhere", "beyond")]
    uncertainty = crossed(sets)
    assert arm["ood"]["nss"]["mean"] == pytest.approx(np.mean([one.mean() for one in sets]))
    assert arm["ood"]["nss"]["ci95"] == pytest.approx([float(end) for end in uncertainty.ci95])
    assert arm["ood"]["nss"]["n_images"] == sum(one.shape[1] for one in sets) and arm["ood"]["nss"]["std"] is None
    for name, one in zip(("elsewhere", "beyond"), sets, strict=True):
        assert arm[f"ood.{name}"]["nss"]["mean"] == pytest.approx(one.mean())


def test_the_mean_is_over_the_sets_that_were_planned(results_of):
    results = results_of(foreign=2, added=1)
    for arm in results["arms"].values():
        assert arm["ood"]["auc"] == arm["ood.elsewhere"]["auc"] and arm["ood.beyond"]["auc"] != arm["ood"]["auc"]
    compared = results["comparison"]
    assert compared["ood"]["ig_difference_bits"]["mean"] == compared["ood.elsewhere"]["ig_difference_bits"]["mean"]
    assert compared["ood"]["ladder"]["rest"]["mean"] == compared["ood.elsewhere"]["ladder"]["rest"]["mean"]


def test_an_arms_ladder_is_the_mean_of_its_trainings(results_of):
    arm = results_of()["arms"]["nll"]["ood.elsewhere"]
    ladder = arm["ladder"]
    assert list(ladder["ig_bits_by_adapted"]) == ["+".join(subset) or "none" for subset in SUBSETS]
    gain = ladder["ig_bits_by_adapted"]
    assert gain["none"] == pytest.approx(arm["ig_bits_per_fixation"]["mean"])
    for name, brought in BROUGHT.items():
        assert gain[name] - gain["none"] == pytest.approx(brought, abs=0.002)
    # of each training's five fits one ended at scale 0, weight 0.8 and no blur, the others at 0.7, 0.9 and 8 px
    assert (ladder["scale"], ladder["sigma_factor"]) == pytest.approx((4 * 0.7 / 5, (4 + 0.05 / 8) / 5))
    assert (ladder["center_bias_weight"], ladder["scale_alone"]) == pytest.approx((0.88, 0.72))
    assert ladder["ends"] == {"scale at 0": 4, "no blur": 4} and ladder["fits"] == 20


def test_entropies_are_means_over_trainings_with_and_without_the_centre_bias(results_of):
    results = results_of()
    base, ours = results["arms"]["nll"], results["arms"]["nll_entropy"]
    for arm in (base, ours):
        assert arm["bias_entropy_nats"] == pytest.approx(np.mean(arm["bias_entropy_nats_by_seed"]))
        assert arm["bias_entropy_nats_by_size"]["48x36"] == pytest.approx(arm["bias_entropy_nats"])
        assert list(arm["bias_entropy_nats_by_size"]) == ["48x36", "36x48"]
    compared = results["comparison"]
    for kind in ("bias_entropy", "bias_entropy_without_center_bias"):
        increase = ours[f"{kind}_nats"] - base[f"{kind}_nats"]
        assert compared[f"{kind}_increase_nats"] == pytest.approx(increase)
        assert compared[f"{kind}_increase_percent"] == pytest.approx(100 * increase / base[f"{kind}_nats"])
        assert compared[f"{kind}_increase_ci95_nats"][0] < increase < compared[f"{kind}_increase_ci95_nats"][1]


@pytest.mark.parametrize("seeds", [1, 2])
def test_intervals_of_bounded_metrics_lie_within_their_bounds_and_are_as_wide_as_they_must_be(results_of, seeds):
    """Trainings that scatter by 0.3 around 0.6 and 0.8: the usual interval would reach far beyond 1."""
    cells = results_of(seeds=seeds, seed_std=0.3)["arms"]["nll"]["in_domain"]
    for key, low in (("auc", 0.0), ("sauc", 0.0), ("cc", -1.0), ("sim", 0.0)):
        first, last = cells[key]["ci95"] or cells[key]["ci95_over_images"]
        assert low <= first < cells[key]["mean"] < last <= 1.0, key
    assert seeds == 1 or cells["nss"]["ci95"][1] - cells["nss"]["ci95"][0] > 2


def test_an_arm_says_every_setting_that_affects_its_results(results_of):
    arms = results_of(weights=None)["arms"]
    assert arms["nll"]["configured"]["model.backbone.weights"] is None
    assert arms["nll_entropy"]["configured"]["loss.lambda_entropy"] == 1.0
    assert "loss.lambda_entropy" not in arms["nll"]["configured"] and "seed" not in arms["nll"]["configured"]
