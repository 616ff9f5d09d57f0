"""The answer says what was found, what it rests on, and what it does not say."""

from __future__ import annotations

import dataclasses

import pytest

from entreg.results.answer import answer_of, loss_in_words, pooled_or_single
from entreg.results.schema import BASELINE, Answer
from tests.report.findings import TOO_LATE, findings
from tests.report.set_matrix import content_of

LOSS = "the NLL minus 1 \N{MULTIPLICATION SIGN} the entropy of the bias map, which counts on every 10th step"

SYNTHETIC = "All images are synthetic: this shows how the study works and says nothing about people."
RANDOM = "The backbone has random weights: it knows nothing about photos, and this is a demonstration."
NO_FOREIGN = "No foreign set was judged, so this says nothing about generalisation."


@pytest.fixture
def answer(tmp_path):
    """answer(**settings): that of a study that was made up."""

    def of(**settings) -> Answer:
        return findings(tmp_path / str(len(list(tmp_path.iterdir()))), labels=(), **settings).results.answer

    return of


@pytest.mark.parametrize(
    "settings, verdict, sentence",
    [
        (
            {"gain": 0.3},
            "better",
            "Out of domain (elsewhere), nll_entropy predicts fixations better than the baseline nll.",
        ),
        (
            {"gain": -0.3},
            "worse",
            "Out of domain (elsewhere), nll_entropy predicts fixations worse than the baseline nll.",
        ),
        (
            {"gain": 0.0},
            "no clear difference",
            "Out of domain (elsewhere), there is no clear difference between nll_entropy and the baseline nll.",
        ),
        (
            {"gain": 0.1, "parts": {"scale": 0.1}},
            "better",
            "Out of domain (elsewhere), nll_entropy predicts fixations better than the baseline nll, but it is not "
            "shown to know more about images.",
        ),
        (
            {"gain": 0.1, "falling": ("sauc",), "foreign": 2, "metric": "sauc"},
            "worse",
            "Out of domain, mean of 2 sets, nll_entropy predicts fixations worse than the baseline nll by shuffled "
            "AUC.",
        ),
        (
            {"gain": 0.3, "seeds": 1},
            "no verdict",
            "Out of domain (elsewhere), one training of each arm cannot tell nll_entropy and nll apart.",
        ),
        (
            {"images": 1, "foreign": 0, "primary": "in_domain"},
            "no verdict",
            "In domain, a single image cannot tell nll_entropy and nll apart.",
        ),
        (
            {"lambdas": (1.0,)},
            "no verdict",
            "Nothing is compared, since there is no baseline among the arms: nll_entropy.",
        ),
    ],
    ids=str,
)
def test_the_verdict_is_one_sentence(answer, settings, verdict, sentence):
    said = answer(**settings)
    assert (said.verdict, said.sentence) == (verdict, sentence)


def test_the_number_is_the_planned_difference_with_its_interval(tmp_path):
    results = findings(tmp_path / "sweep", foreign=2, lambdas=(0.0, 0.1, 1.0), primary="ood.beyond").results
    cell = results.comparisons["nll_entropy_lambda1"].domains["ood.beyond"].differences["ig_difference_bits"]
    said = results.answer
    assert (said.arm, said.baseline, said.domain, said.metric) == (
        "nll_entropy_lambda1",
        "nll",
        "ood.beyond",
        "ig_bits_per_fixation",
    )
    assert (said.difference, said.interval) == (cell.mean, cell.ci95)
    assert said.interval_over == "other images and other trainings"
    assert said.what == (
        "IG over the Gaussian prior in bit/fixation, nll_entropy_lambda1 minus nll, out of domain (beyond)"
    )


def test_the_interval_of_one_training_covers_images_alone(answer):
    said = answer(seeds=1)
    assert said.interval is not None and said.interval_over == "other images, but not other trainings"
    assert "A single training of each arm cannot show a difference" in said.limits[0]


def test_what_it_rests_on_is_counted(answer):
    assert answer(seeds=3, synthetic=("elsewhere",)).rests_on == [
        "27 images of elsewhere with 2430 fixations (out of domain; synthetic, seen by nobody)",
        "24 images of made_up with 2160 fixations (in domain: held out; recorded from people)",
        "3 trainings of each arm",
        "backbone: vgg19 with the weights IMAGENET1K_V1",
        "loss of nll: the negative log likelihood (NLL) of fixations",
        f"loss of nll_entropy: {LOSS}",
    ]


@pytest.mark.parametrize(
    "settings, limits",
    [
        ({"synthetic": ("made_up", "elsewhere"), "weights": None}, [SYNTHETIC, RANDOM]),
        (
            {"synthetic": ("elsewhere",)},
            ["The images of elsewhere are synthetic, so what holds there says nothing about people."],
        ),
        ({"foreign": 0, "weights": None, "primary": "in_domain"}, [RANDOM, NO_FOREIGN]),
    ],
    ids=str,
)
def test_a_demonstration_says_first_that_it_is_one(answer, settings, limits):
    said = answer(gain=0.3, **settings).limits
    assert said[: len(limits)] == limits
    plain = answer(gain=0.3).limits
    assert not {SYNTHETIC, RANDOM, NO_FOREIGN} & {*plain}


def test_the_backbones_precision_is_said_with_what_is_known_of_its_effect(tmp_path):
    results = findings(tmp_path / "sweep", labels=()).results
    assert "float" not in " ".join([*results.answer.rests_on, *results.answer.limits])
    arms = {
        name: dataclasses.replace(arm, configured=arm.configured | {"model.backbone.precision": "bfloat16"})
        for name, arm in results.arms.items()
    }
    said = answer_of(dataclasses.replace(results, arms=arms))
    assert "backbone: vgg19 with the weights IMAGENET1K_V1, computed in bfloat16" in said.rests_on
    assert said.limits[-1].startswith("The backbone was computed in bfloat16, not in float32.")
    assert "scene50) by 0.0017" in said.limits[-1]
    said = answer_of(dataclasses.replace(results, arms={**arms, "nll": results.arms["nll"]}))
    assert said.limits[-1].startswith("The backbone of nll_entropy was computed in bfloat16, not in float32.")


def test_what_a_comparison_does_not_say_is_said(answer):
    said = answer(gain=0.0, primary=None, images=12)
    low, high = (f"{end:+.3f}".replace("-", "−") for end in said.interval)
    assert said.limits == [
        f"No clear difference is not equality: anything from {low} to {high} fits the data.",
        f"It was not planned: every comparison is exploratory ({TOO_LATE}).",
        "The interval is uncertain, since 15 images of elsewhere are few.",
        "What holds on elsewhere may not hold on other foreign sets.",
    ]


def test_a_single_image_is_few(answer):
    limits = answer(gain=0.0, images=1, foreign=0, primary="in_domain").limits
    assert [limit for limit in limits if limit.endswith(" few.")] == [
        "The interval is uncertain, since 1 image of made_up is few."
    ]


def test_results_of_an_earlier_version_have_an_answer_without_what_they_do_not_record(tmp_path):
    results = findings(tmp_path / "sweep", labels=()).results
    arms = {name: dataclasses.replace(arm, configured=None) for name, arm in results.arms.items()}
    data = {key: dataclasses.replace(one, synthetic=None) for key, one in results.data.items()}
    said = answer_of(dataclasses.replace(results, arms=arms, data=data))
    assert said.rests_on == [
        "27 images of elsewhere with 2430 fixations (out of domain)",
        "24 images of made_up with 2160 fixations (in domain: held out)",
        "4 trainings of each arm",
    ]


def test_any_loss_has_words(tmp_path):
    arm = findings(tmp_path / "sweep", labels=()).results.arms["nll_entropy"]
    other = arm.configured | {"loss.name": "nll_peak", "loss.lambda_entropy": 0.5, "loss.every": 1}
    assert (
        loss_in_words(dataclasses.replace(arm, configured=other)) == "the loss nll_peak with lambda 0.5 on every step"
    )


def test_of_many_arms_the_two_that_are_compared_are_described(answer):
    said = answer(lambdas=(0.0, 0.1, 1.0, 10.0)).rests_on
    assert said[-3:] == [
        "loss of nll: the negative log likelihood (NLL) of fixations",
        f"loss of nll_entropy_lambda1: {LOSS}",
        "2 other arms, which the page compares below",
    ]


def test_where_pooled_sets_against_one_were_planned_the_answer_is_about_them(tmp_path):
    results = content_of(tmp_path / "sweep").results
    arm, cell, found = pooled_or_single(results)
    assert arm == "nll" and cell is found.adapted["mean"]
    said = results.answer
    assert said.sentence == (
        "On a set that was left out, models that learned from all others predict fixations better after the adaptation "
        "to it than those of one other set do."
    )
    assert (said.difference, said.interval, said.arm) == (cell.mean, cell.ci95, None)
    assert said.what.endswith("all others pooled minus one other on average, nll, mean of 3 sets")
    assert not any("planned" in line for line in said.limits)
    assert "What holds on these 3 sets may not hold on others." in said.limits


def test_pooled_sets_that_were_not_planned_are_exploratory_or_beside_the_answer(tmp_path):
    said = content_of(tmp_path / "a", planned=False).results.answer
    assert "It was not planned: every comparison is exploratory (so)." in said.limits
    assert content_of(tmp_path / "b", BASELINE).results.answer.arm == "nll_entropy"


def test_one_training_tells_pooled_sets_and_one_not_apart(tmp_path):
    said = content_of(tmp_path / "a", seeds=(0,)).results.answer
    assert said.sentence.startswith("On a set that was left out, one training cannot tell models that learned from all")
    assert said.verdict == "no verdict" and said.interval_over == "other images, but not other trainings"
