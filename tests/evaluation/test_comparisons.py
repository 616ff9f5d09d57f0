"""The comparisons of arms with their baselines."""

from __future__ import annotations

import pytest

from entreg.evaluation.comparisons import reading
from entreg.evaluation.ladder import PARTS
from entreg.evaluation.statistics import crossed
from entreg.results.schema import BETTER, NO_VERDICT, NOT_SHOWN, PAIRED, UNDECIDED, WORSE, Difference
from entreg.results.writing import plain
from tests.evaluation.conftest import values
from tests.report.findings import findings


def a_difference(verdict: str, low: float, high: float) -> Difference:
    ends = None if verdict == NO_VERDICT else (low, high)
    return Difference((low + high) / 2, 0.1, ends, 0.01, 9.0, 0.1, 0.1, 20, 4, None, PAIRED, 9, 0.01, verdict, True)


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


def test_metrics_that_fall_are_named_where_the_gain_rises(results_of):
    compared = results_of(falling=("auc", "nss"), gain=0.3)["comparison"]
    assert compared["ood"]["lower_while_ig_higher"] == ["auc", "nss"] == compared["in_domain"]["lower_while_ig_higher"]


def test_where_the_gain_falls_too_there_is_nothing_to_be_said(results_of):
    compared = results_of(gain=-0.3)["comparison"]
    assert all(compared["ood"][f"{key}_difference"]["mean"] < 0 for key in ("auc", "sauc", "nss"))
    assert compared["ood"]["lower_while_ig_higher"] == []


def test_a_difference_is_that_of_the_tables(tmp_path):
    content = findings(tmp_path)
    ours, base = (values(content, arm, "ood.elsewhere", "ig_bits_per_fixation") for arm in ("nll_entropy", "nll"))
    uncertainty = crossed([ours - base])
    cell = plain(content.results)["comparison"]["ood.elsewhere"]["ig_difference_bits"]
    assert cell["mean"] == pytest.approx((ours - base).mean()) and cell["p"] == pytest.approx(float(uncertainty.p))
    assert cell["ci95"] == pytest.approx([float(end) for end in uncertainty.ci95])


def test_primary_is_one_cell_and_all_others_are_exploratory(results_of):
    results = results_of(lambdas=(0.0, 0.1, 1.0), foreign=2, gain=0.3)
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


def test_parts_add_up_to_the_difference_in_every_domain(results_of):
    compared = results_of(foreign=2, parts={"scale": 0.03, "centre_bias": -0.01, "spread": 0.02})["comparison"]
    for domain in ("ood", "ood.elsewhere", "ood.beyond"):
        ladder = {part: cell["mean"] for part, cell in compared[domain]["ladder"].items()}
        total = compared[domain]["ig_difference_bits"]["mean"]
        assert ladder["scale"] + ladder["spread"] == pytest.approx(ladder["scale_and_spread"], abs=1e-12)
        assert ladder["scale_and_spread"] + ladder["centre_bias"] + ladder["rest"] == pytest.approx(total, abs=1e-12)
        made_up = {"scale": 0.03, "centre_bias": -0.01, "spread": 0.02, "rest": total - 0.04}
        assert {part: ladder[part] for part in made_up} == pytest.approx(made_up, abs=0.005)
    assert compared["in_domain"]["ladder"] is None


def test_parts_are_corrected_over_the_arms_and_exploratory(results_of):
    """Three arms, of which the second is the primary outcome's: Holm by hand, m - k times the k-th smallest p."""
    results = results_of(lambdas=(0.0, 0.1, 1.0, 3.0), foreign=2, gain=0.01, parts={"scale": 0.001, "spread": -0.001})
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
def test_scale_and_spread_together_say_whether_predictions_are_flatter(results_of, parts, expected):
    compared = results_of(parts=parts)["comparison"]
    assert compared["ood"]["sharpness"] == expected and compared["in_domain"]["sharpness"] is None


def test_a_mean_has_a_ladder_only_where_all_of_its_sets_have(tmp_path):
    assert findings(tmp_path, images=12).results.comparisons["nll_entropy"].domains["ood"].ladder is None


def test_without_a_baseline_nothing_is_compared(results_of):
    results = results_of(lambdas=(0.3, 1.0))
    assert results["comparisons"] == {} == results["comparison"]
    assert results["baseline"] is None and results["baseline_band"] is None


def test_one_training_each_is_compared_and_not_judged(results_of):
    results = results_of(seeds=1, gain=0.5, foreign=2)
    verdicts = {
        cell["verdict"]
        for domain in ("in_domain", "ood", "ood.elsewhere")
        for cell in results["comparison"][domain].values()
        if isinstance(cell, dict) and "verdict" in cell
    }
    assert verdicts == {NO_VERDICT} and results["comparison"]["seeds"] == "one training"
    assert results["comparison"]["ood"]["reading"] is None
    assert results["comparison"]["bias_entropy_increase_ci95_nats"] is None
