"""The results of an evaluation as a whole."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from entreg.config import Evaluation
from entreg.evaluation.summary import band
from entreg.results.schema import FORMAT
from tests.evaluation.test_arms import run


def mean(value: float) -> SimpleNamespace:
    return SimpleNamespace(mean=value)


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
    assert why == "evaluation.ig_band_data does not name the data set that the band is for"


def test_the_file_says_its_format_and_what_it_was_for(results_of):
    results = results_of(foreign=2)
    assert results["format"] == FORMAT == 2
    assert results["primary"] == {
        "arm": "nll_entropy",
        "domain": "ood",
        "metric": "ig_bits_per_fixation",
        "planned": ["elsewhere", "beyond"],
        "added": [],
        "why": None,
        "against": "baseline",
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
def test_whatever_was_judged_can_be_written_as_json(results_of, settings):
    """`results_of` refuses what is not a number."""
    assert results_of(**settings)["arms"]


def test_without_a_primary_outcome_the_first_regularised_arm_leads(results_of):
    results = results_of(lambdas=(0.0, 0.1, 1.0), primary=None)
    assert results["comparison"]["arm"] == "nll_entropy_lambda0.1" and results["lambda_chosen_on_validation"]
    cells = [one["ood"]["ig_difference_bits"] for one in results["comparisons"].values()]
    assert all(cell["exploratory"] for cell in cells)
    # two arms are compared: Holm by hand
    low, high = sorted(cell["p"] for cell in cells)
    assert sorted(cell["p_holm"] for cell in cells) == pytest.approx([min(2 * low, 1), min(max(2 * low, high), 1)])


@pytest.mark.parametrize("images, few, few_kde", [(9, True, True), (10, True, False), (30, False, False)])
def test_data_say_where_they_are_few(results_of, images, few, few_kde):
    """A made-up set's KDE prior is of twenty times its images."""
    data = results_of(images=images, foreign=0)["data"]["in_domain"]
    assert (data["few_images"], data["few_kde_images"]) == (few, few_kde)
