"""The form of results.json: what stands where, means over sets and seeds, and what is said beside the means."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from entreg.config import Config, Data, Evaluation
from entreg.evaluate.adaptation import SUBSETS
from entreg.evaluate.differences import BETTER, NO_VERDICT, PAIRED, UNDECIDED, WORSE, Difference
from entreg.evaluate.ladder import PARTS
from entreg.evaluate.results import FORMAT, NOT_SHOWN, Category, band, by_category, explained, plain, reading
from entreg.evaluate.statistics import crossed
from entreg.losses import nll
from entreg.run.folder import RunFolder
from entreg.study.finished import Run
from tests.evaluate.test_arms import run
from tests.report.findings import BROUGHT, findings


def mean(value: float) -> SimpleNamespace:
    return SimpleNamespace(mean=value)


def history(*rows: tuple[float, float]) -> Run:
    keys = ("train_nll_nats", "validation_nll_nats")
    state = {"history": [dict(zip(keys, row, strict=True)) for row in rows]}
    return Run(RunFolder(Path("x")), Config(data=Data(name="x"), loss=nll.Settings()), state)


def a_difference(verdict: str, low: float, high: float) -> Difference:
    ends = None if verdict == NO_VERDICT else (low, high)
    return Difference((low + high) / 2, 0.1, ends, 0.01, 9.0, 0.1, 0.1, 20, 4, None, PAIRED, 9, 0.01, verdict, True)


@pytest.fixture
def found(tmp_path):
    """found(**settings): what results.json holds of a study that was made up, after a round trip through the file."""

    def load(**settings):
        return json.loads(json.dumps(findings(tmp_path / "sweep", **settings).results, allow_nan=False))

    return load


def values(content, arm: str, domain: str, key: str) -> np.ndarray:
    """(n_seeds, n_images) as the table of all images has them."""
    rows = [row for row in content.per_image if (row["arm"], row["domain"]) == (arm, domain)]
    seeds = sorted({row["seed"] for row in rows})
    return np.array([[row[key] for row in rows if row["seed"] == seed] for seed in seeds])


# of one arm


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


@pytest.mark.parametrize(
    "name, limit, ig, expected",
    [
        ("s", None, 1.0, "inside"),
        ("s", None, 0.5, "inside"),
        ("s", None, 2.1, "outside"),
        ("other", None, 1.0, "not applicable"),
        ("s", 40, 1.0, "not applicable"),
    ],
)
def test_a_band_speaks_of_its_whole_data_set_alone(name, limit, ig, expected):
    config = run("nll").config
    arm = SimpleNamespace(runs=[SimpleNamespace(config=config)])
    assert band(arm, {})["verdict"] == "not applicable"
    config.evaluation = Evaluation(ig_band_bits=[0.5, 2.0], ig_band_data="s", ig_band_prior="kde", ig_band_source="me")
    config.data.name, config.data.limit = name, limit
    assert band(arm, {"ig_kde_bits_per_fixation": mean(ig)})["verdict"] == expected


def test_a_band_whose_data_set_nobody_named_is_for_none():
    config = run("nll").config
    config.evaluation = Evaluation(ig_band_bits=[0.5, 2.0])
    why = band(SimpleNamespace(runs=[SimpleNamespace(config=config)]), {"ig_bits_per_fixation": mean(1.0)})["why"]
    assert why == "evaluation.ig_band_data does not say which data set it is for"


# of a difference


@pytest.mark.parametrize(
    "verdict, rest, expected",
    [
        (BETTER, (-0.01, 0.04), NOT_SHOWN),
        (BETTER, (0.0, 0.04), NOT_SHOWN),
        (BETTER, (-0.09, -0.04), NOT_SHOWN),
        (BETTER, (0.001, 0.04), None),
        (WORSE, (-0.01, 0.04), None),
        (UNDECIDED, (-0.01, 0.04), None),
        (NO_VERDICT, (-0.01, 0.04), None),
    ],
)
def test_better_with_nothing_left_is_not_shown_to_know_more(verdict, rest, expected):
    ladder = {part: a_difference(UNDECIDED, 0.01, 0.02) for part in PARTS} | {"rest": a_difference(UNDECIDED, *rest)}
    assert reading(a_difference(verdict, 0.01, 0.03), ladder) == expected
    assert reading(a_difference(verdict, 0.01, 0.03), None) is None


def test_metrics_that_fall_are_named_where_the_gain_rises(found):
    compared = found(falling=("auc", "nss"), gain=0.3)["comparison"]
    assert compared["ood"]["lower_while_ig_higher"] == ["auc", "nss"] == compared["in_domain"]["lower_while_ig_higher"]


def test_where_the_gain_falls_too_there_is_nothing_to_be_said(found):
    compared = found(gain=-0.3)["comparison"]
    assert all(compared["ood"][f"{key}_difference"]["mean"] < 0 for key in ("auc", "sauc", "nss"))
    assert compared["ood"]["lower_while_ig_higher"] == []


# the whole


def test_what_a_field_holds_stands_beside_the_others_where_it_is_spread():
    @dataclasses.dataclass
    class Inner:
        spread: ClassVar = ("cells",)
        cells: dict[str, float]
        why: str | None

    @dataclasses.dataclass
    class Outer:
        inner: Inner
        ends: tuple[float, float]
        many: list[Inner]

    one = Inner({"a": 1.0}, None)
    assert plain(Outer(one, (1.0, 2.0), [one])) == {
        "inner": {"a": 1.0, "why": None},
        "ends": [1.0, 2.0],
        "many": [{"a": 1.0, "why": None}],
    }
    assert plain(one.cells) is not one.cells


def test_the_file_says_its_format_and_what_it_was_for(found):
    results = found(foreign=2)
    assert results["format"] == FORMAT == 2
    assert results["primary"] == {
        "arm": "nll_entropy",
        "domain": "ood",
        "metric": "ig_bits_per_fixation",
        "planned": ["elsewhere", "beyond"],
        "added": [],
        "why": None,
    }
    assert results["baseline"] == "nll" and results["arms"]["nll"]["is_baseline"]
    assert results["metrics"]["ig_bits_per_fixation"]["difference_key"] == "ig_difference_bits"
    assert results["comparison"] == {"arm": "nll_entropy"} | results["comparisons"]["nll_entropy"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seeds": 1, "foreign": 2},
        {"images": 1, "seeds": 1, "foreign": 0},
        {"images": 1, "seeds": 3},
        {"lambdas": (1.0,), "seeds": 2},
        {"lambdas": (0.0,), "foreign": 0},
        {"foreign": 2, "added": 1},
        {"lambdas": (0.0, 0.1, 1.0), "seeds": 2, "categories": True, "primary": None},
    ],
    ids=str,
)
def test_whatever_was_judged_can_be_written_as_json(found, settings):
    """`found` refuses what is not a number."""
    assert found(**settings)["arms"]


def test_the_mean_over_the_foreign_sets_counts_each_alike(tmp_path):
    content = findings(tmp_path, foreign=2)
    arm = content.results["arms"]["nll_entropy"]
    sets = [values(content, "nll_entropy", f"ood.{name}", "nss") for name in ("elsewhere", "beyond")]
    sure = crossed(sets)
    assert arm["ood"]["nss"]["mean"] == pytest.approx(np.mean([one.mean() for one in sets]))
    assert arm["ood"]["nss"]["ci95"] == pytest.approx([float(end) for end in sure.ci95])
    assert arm["ood"]["nss"]["n_images"] == sum(one.shape[1] for one in sets) and arm["ood"]["nss"]["std"] is None
    for name, one in zip(("elsewhere", "beyond"), sets, strict=True):
        assert arm[f"ood.{name}"]["nss"]["mean"] == pytest.approx(one.mean())


def test_the_mean_is_over_the_sets_that_were_planned(found):
    results = found(foreign=2, added=1)
    for arm in results["arms"].values():
        assert arm["ood"]["auc"] == arm["ood.elsewhere"]["auc"] and arm["ood.beyond"]["auc"] != arm["ood"]["auc"]
    compared = results["comparison"]
    assert compared["ood"]["ig_difference_bits"]["mean"] == compared["ood.elsewhere"]["ig_difference_bits"]["mean"]
    assert compared["ood"]["ladder"]["rest"]["mean"] == compared["ood.elsewhere"]["ladder"]["rest"]["mean"]


def test_a_difference_is_that_of_the_tables(tmp_path):
    content = findings(tmp_path)
    ours, base = (values(content, arm, "ood.elsewhere", "ig_bits_per_fixation") for arm in ("nll_entropy", "nll"))
    sure = crossed([ours - base])
    cell = content.results["comparison"]["ood.elsewhere"]["ig_difference_bits"]
    assert cell["mean"] == pytest.approx((ours - base).mean()) and cell["p"] == pytest.approx(float(sure.p))
    assert cell["ci95"] == pytest.approx([float(end) for end in sure.ci95])


def test_primary_is_one_cell_and_all_others_are_exploratory(found):
    results = found(lambdas=(0.0, 0.1, 1.0), foreign=2, gain=0.3)
    confirmed = [
        (arm, domain, key)
        for arm, comparison in results["comparisons"].items()
        for domain, cells in comparison.items()
        if domain.startswith(("ood", "in_"))
        for key, cell in cells.items()
        if isinstance(cell, dict) and "exploratory" in cell and not cell["exploratory"]
    ]
    assert confirmed == [("nll_entropy_lambda1", "ood", "ig_difference_bits")]
    cell = results["comparisons"]["nll_entropy_lambda1"]["ood"]["ig_difference_bits"]
    assert cell["p_holm"] == cell["p"]
    assert results["comparison"]["arm"] == "nll_entropy_lambda1"  # and not the first regularised arm


def test_without_a_primary_outcome_the_first_regularised_arm_leads(found):
    results = found(lambdas=(0.0, 0.1, 1.0), primary=None)
    assert results["comparison"]["arm"] == "nll_entropy_lambda0.1" and results["lambda_chosen_on_validation"]
    cells = [one["ood"]["ig_difference_bits"] for one in results["comparisons"].values()]
    assert all(cell["exploratory"] for cell in cells)
    # two arms are compared: Holm by hand
    low, high = sorted(cell["p"] for cell in cells)
    assert sorted(cell["p_holm"] for cell in cells) == pytest.approx([min(2 * low, 1), min(max(2 * low, high), 1)])


def test_parts_add_up_to_the_difference_in_every_domain(found):
    compared = found(foreign=2, parts={"scale": 0.03, "centre_bias": -0.01, "spread": 0.02})["comparison"]
    for domain in ("ood", "ood.elsewhere", "ood.beyond"):
        ladder = {part: cell["mean"] for part, cell in compared[domain]["ladder"].items()}
        total = compared[domain]["ig_difference_bits"]["mean"]
        assert ladder["scale"] + ladder["spread"] == pytest.approx(ladder["scale_and_spread"], abs=1e-12)
        assert ladder["scale_and_spread"] + ladder["centre_bias"] + ladder["rest"] == pytest.approx(total, abs=1e-12)
        made_up = {"scale": 0.03, "centre_bias": -0.01, "spread": 0.02, "rest": total - 0.04}
        assert {part: ladder[part] for part in made_up} == pytest.approx(made_up, abs=0.005)
    assert compared["in_domain"]["ladder"] is None


def test_parts_are_corrected_over_the_arms_and_exploratory(found):
    """Three arms, of which the second is the primary outcome's: Holm by hand, m - k times the k-th smallest p."""
    results = found(lambdas=(0.0, 0.1, 1.0, 3.0), foreign=2, gain=0.01, parts={"scale": 0.001, "spread": -0.001})
    verdicts = set()
    for domain in ("ood", "ood.elsewhere", "ood.beyond"):
        for part in (*PARTS, "scale_and_spread"):
            cells = [one[domain]["ladder"][part] for one in results["comparisons"].values()]
            ordered = sorted(cells, key=lambda cell: cell["p"])
            lowest = 0.0
            for rank, cell in enumerate(ordered):
                lowest = max(lowest, min((3 - rank) * cell["p"], 1.0))
                assert cell["p_holm"] == pytest.approx(lowest) and cell["exploratory"]
                is_clear = lowest < 0.05 and not cell["ci95"][0] <= 0 <= cell["ci95"][1]
                assert (cell["verdict"] != UNDECIDED) is is_clear
                verdicts.add((cell["p"] < 0.05, is_clear))
    assert verdicts >= {(True, True), (True, False), (False, False)}


@pytest.mark.parametrize(
    "parts, expected",
    [
        ({"scale": 0.04}, "flatter"),
        ({"spread": -0.04}, "sharper"),
        ({"scale": 0.05, "spread": -0.1}, "sharper"),
        ({"scale": -0.05, "spread": 0.1, "centre_bias": -0.4}, "flatter"),
    ],
)
def test_scale_and_spread_together_say_whether_predictions_are_flatter(found, parts, expected):
    compared = found(parts=parts)["comparison"]
    assert compared["ood"]["sharpness"] == expected and compared["in_domain"]["sharpness"] is None


@pytest.mark.parametrize("images, few, few_kde", [(9, True, True), (10, True, False), (30, False, False)])
def test_data_say_where_they_are_few(found, images, few, few_kde):
    """A made-up set's KDE prior is of twenty times its images."""
    data = found(images=images, foreign=0)["data"]["in_domain"]
    assert (data["few_images"], data["few_kde_images"]) == (few, few_kde)


def test_a_mean_has_a_ladder_only_where_all_of_its_sets_have(tmp_path):
    assert findings(tmp_path, images=12).results["comparison"]["ood"]["ladder"] is None


def test_an_arms_ladder_is_the_mean_of_its_trainings(found):
    arm = found()["arms"]["nll"]["ood.elsewhere"]
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


def test_entropies_are_means_over_trainings_with_and_without_the_centre_bias(found):
    results = found()
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


def test_without_a_baseline_nothing_is_compared(found):
    results = found(lambdas=(0.3, 1.0))
    assert results["comparisons"] == {} == results["comparison"]
    assert results["baseline"] is None and results["baseline_band"] is None


def test_one_training_each_is_compared_and_not_judged(found):
    results = found(seeds=1, gain=0.5, foreign=2)
    verdicts = {
        cell["verdict"]
        for domain in ("in_domain", "ood", "ood.elsewhere")
        for cell in results["comparison"][domain].values()
        if isinstance(cell, dict) and "verdict" in cell
    }
    assert verdicts == {NO_VERDICT} and results["comparison"]["seeds"] == "one training"
    assert results["comparison"]["ood"]["reading"] is None
    assert results["comparison"]["bias_entropy_increase_ci95_nats"] is None
