"""What is found of some runs: on the same images for all of them, without those that were trained on."""

from __future__ import annotations

import dataclasses
import logging
import math
from pathlib import Path

import numpy as np
import pytest

from entreg import progress
from entreg.errors import UserError
from entreg.evaluate import scores
from entreg.evaluate.arms import arms_of
from entreg.evaluate.judgement import Judgement
from entreg.evaluate.stages import JudgedStages
from entreg.ranks import Ranks
from entreg.settings import resolved
from entreg.study.finished import Run
from tests.evaluate.photos import FIXATIONS, FOREIGN, name_of, trained, words, write_sets

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = (72, 96)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> tuple[Path, list[int], list[int]]:
    """The folder of the sets, and the seeds of own's training and of its validation images."""
    folder = tmp_path_factory.mktemp("place")
    return folder, *write_sets(folder)


@pytest.fixture(scope="module")
def stages() -> JudgedStages:
    return JudgedStages(Ranks())


@pytest.fixture
def run_of(composed, store, place, stages, tmp_path):
    """run_of(weights, *words): a finished run whose weights are drawn from a seed."""

    def build(weights: int, *more: str) -> Run:
        config = resolved(composed(*words(place[0], store), "study=s", *more))
        return trained(tmp_path / str(weights), config, stages, weights)

    return build


@pytest.fixture(scope="module")
def judgement_of(stages):
    """judgement_of(runs): what is found of them; the same runs are judged once."""
    known: dict[tuple[str, ...], Judgement] = {}

    def judged(*runs: Run) -> Judgement:
        key = tuple(run.folder.path.name for run in runs)  # which says the weights
        if key not in known:
            known[key] = Judgement(arms_of(list(runs))[0], stages, 0)
            known[key].judge()
        return known[key]

    return judged


@pytest.fixture
def judgement(run_of, judgement_of) -> Judgement:
    """Of two trainings of the baseline and one of the regularised arm."""
    return judgement_of(run_of(1, "loss=nll"), run_of(2, "loss=nll", "seed=1"), run_of(3, "loss=nll_entropy"))


@pytest.fixture
def left(place) -> dict[str, list[str]]:
    """By domain the names of the images that are judged."""
    return {
        "in_domain": [name_of(seed) for i, seed in enumerate(place[2]) if i != 1],
        "ood.foreign": [name_of(seed) for seed in FOREIGN if seed not in (103, 110)],
    }


def test_images_that_were_trained_on_are_left_out_for_all_arms_and_counted(judgement, place, left):
    _, training, validation = place
    seen = {
        "in_domain": {name_of(validation[1]): name_of(training[4])},
        "ood.foreign": {name_of(103): name_of(training[0]), name_of(110): name_of(training[7])},
    }
    assert judgement.seen == seen
    for evidence in judgement.evidence().values():
        for domain, tables in evidence.rows.items():
            assert all([row["image"] for row in rows] == left[domain] for rows in tables)
    for domain, data in judgement.data().items():
        assert data.seen == seen[domain] and data.n_images == len(left[domain])
        assert data.n_fixations == FIXATIONS * len(left[domain])
    assert judgement.data()["ood.foreign"].without_ladder is None


def test_what_was_left_out_is_said(run_of, stages, place, caplog):
    Judgement(arms_of([run_of(1, "loss=nll")])[0], stages, 0)
    _, training, _ = place
    pairs = f"103.jpg (as {name_of(training[0])}), 110.jpg (as {name_of(training[7])})"
    assert f"ood.foreign: left out, since the models were trained on them or nearly: {pairs}" in caplog.text


def test_in_a_log_judging_says_how_far_it_is(run_of, judgement_of, left, caplog, monkeypatch):
    monkeypatch.setattr(progress, "TOLD_EVERY_S", 0)
    with caplog.at_level(logging.INFO):
        judgement_of(run_of(77))
    told = [record.getMessage().split(",")[0] for record in caplog.records if record.name == "entreg.progress"]
    judged = [line for line in told if line.startswith("judging on ")]
    assert len(judged) == sum(map(len, left.values()))
    count = len(left["ood.foreign"])
    assert judged[-1] == f"judging on foreign: {count} of {count} images"
    assert "adapting to foreign: 1 of 1 runs" in told


def test_every_run_has_a_row_for_every_image(judgement, left):
    table = judgement.table()
    assert len(table) == 3 * sum(map(len, left.values()))
    assert {(row["arm"], row["seed"]) for row in table} == {("nll", 0), ("nll", 1), ("nll_entropy", 0)}
    by_run = judgement.evidence()["nll"].rows["ood.foreign"]
    for seed in (0, 1):
        rows = [row for row in table if (row["arm"], row["seed"], row["domain"]) == ("nll", seed, "ood.foreign")]
        assert [row["ig_bits_per_fixation"] for row in rows] == [row["ig_bits_per_fixation"] for row in by_run[seed]]
    assert by_run[0][0]["ig_bits_per_fixation"] != by_run[1][0]["ig_bits_per_fixation"]


def test_models_are_adapted_to_foreign_sets_alone_and_begin_with_the_gain_that_they_have(judgement):
    for arm, evidence in judgement.evidence().items():
        assert list(evidence.adapted) == ["ood.foreign"]
        for rows, adapted in zip(evidence.rows["ood.foreign"], evidence.adapted["ood.foreign"], strict=True):
            gains = [row["ig_bits_per_fixation"] for row in rows]
            np.testing.assert_allclose(adapted.ig_bits[()], gains, atol=1e-5, err_msg=arm)
            assert len(adapted.fits[("scale",)]) == 5  # folds


def test_a_small_set_has_no_ladder_and_that_is_said(run_of, judgement_of):
    found = judgement_of(run_of(4, "loss=nll", "seed=4", "ood.foreign.limit=21"))
    assert all(not evidence.adapted for evidence in found.evidence().values())
    why = {domain: data.without_ladder for domain, data in found.data().items()}
    assert why == {"in_domain": None, "ood.foreign": "19 images are too few to adapt a model to the set (at least 20)"}


def test_the_mean_density_is_that_of_the_predictions_and_its_distance_is_a_kl(judgement, run_of, stages, left):
    """By hand for the regularised arm, which has one training: full maps, averaged, against the set's KDE."""
    run = run_of(3, "loss=nll_entropy")
    alone = Judgement(arms_of([run])[0], stages, 0)
    model = scores.judged(run, alone._studies[run.folder]).model
    part = alone._studies[run.folder].foreign("foreign")
    kept = [i for i, name in enumerate(part.names) if name in left["ood.foreign"] and part.sizes[i] == SIZE]
    assert 10 < len(kept) < 20  # the others are portraits
    mean = np.mean([scores.predict(model, part, i).full()[0].double().exp().numpy() for i in kept], axis=0)
    maps = judgement.mean_densities()["ood.foreign"]
    assert list(maps) == ["fixations", "nll", "nll_entropy"]
    np.testing.assert_allclose(np.exp(maps["nll_entropy"]), mean, rtol=1e-4)
    kde = np.exp(maps["fixations"].astype(np.float64))
    assert kde.sum() == pytest.approx(1, abs=1e-4)
    (kl_bits,) = judgement.evidence()["nll_entropy"].kl_bits["ood.foreign"]
    assert kl_bits == pytest.approx((kde * np.log2(kde / mean)).sum(), abs=1e-4)
    assert list(judgement.evidence()["nll"].kl_bits) == ["ood.foreign"]


def test_the_mean_density_of_an_arm_is_that_over_its_trainings(judgement, run_of, judgement_of):
    each = [judgement_of(run_of(weights, "loss=nll", f"seed={seed}")) for weights, seed in ((1, 0), (2, 1))]
    mean = np.mean([np.exp(one.mean_densities()["ood.foreign"]["nll"]) for one in each], axis=0)
    np.testing.assert_allclose(np.exp(judgement.mean_densities()["ood.foreign"]["nll"]), mean, rtol=1e-4)
    both = [one.evidence()["nll"].kl_bits["ood.foreign"][0] for one in each]
    assert judgement.evidence()["nll"].kl_bits["ood.foreign"] == pytest.approx(both)


def test_examples_are_the_best_the_median_and_the_worst_image_of_the_baseline(judgement):
    rows = judgement.evidence()["nll"].rows["ood.foreign"]
    means = {
        one["image"]: (one["ig_bits_per_fixation"] + other["ig_bits_per_fixation"]) / 2
        for one, other in zip(*rows, strict=True)
    }
    ranked = sorted(means, key=lambda name: -means[name])
    examples = judgement.examples()["ood.foreign"]
    assert [label for label, _ in examples] == ["best", "median", "worst"]
    assert [shown["nll_entropy"].name for _, shown in examples] == [ranked[0], ranked[10], ranked[-1]]
    first = next(row for row in rows[0] if row["image"] == ranked[0])
    best = examples[0][1]["nll"]
    assert best.title == f"nll: {first['ig_bits_per_fixation']:.2f} bit/fixation".replace(": -", ": −")
    assert len(best.x) == FIXATIONS and np.exp(best.log_density).sum() == pytest.approx(1, abs=1e-4)


def test_a_bias_map_is_the_first_trainings(judgement, run_of, judgement_of):
    maps = judgement.bias_maps()
    alone = judgement_of(run_of(1, "loss=nll")).bias_maps()["nll"]
    assert list(maps) == ["nll", "nll_entropy"] and np.array_equal(maps["nll"], alone)
    assert maps["nll"].shape == SIZE and np.exp(maps["nll"]).sum() == pytest.approx(1, abs=1e-4)
    assert not np.array_equal(maps["nll"], maps["nll_entropy"])
    by_size = judgement.evidence()["nll"].maps[0]
    assert list(by_size) == [SIZE, SIZE[::-1]]
    assert float(by_size[SIZE].with_center_bias.entropy_nats()) < math.log(72 * 96)


def test_fingerprints_are_of_all_that_was_read(run_of, stages):
    runs = [run_of(1, "loss=nll"), run_of(2, "loss=nll_entropy")]
    one = Judgement(arms_of(runs)[0], stages, 0).fingerprints()
    assert {key: one[key] for key in ("data", "weights")} == runs[0].state["fingerprints"]
    assert one.keys() == {"data", "weights", "features"} and not any("," in value for value in one.values())


def test_runs_that_were_trained_on_other_contents_are_refused(run_of, stages):
    run = run_of(1, "loss=nll")
    state = run.state | {"fingerprints": run.state["fingerprints"] | {"data": "0" * 64}}
    with pytest.raises(UserError) as caught:
        Judgement(arms_of([dataclasses.replace(run, state=state)])[0], stages, 0)
    said = f"{run.folder} was trained on other contents than are there now: data changed; give the folder"
    assert str(caught.value).startswith(said)


def test_runs_that_are_judged_on_other_images_are_refused(run_of, stages):
    runs = [run_of(1, "loss=nll"), run_of(2, "loss=nll_entropy", "ood.foreign.limit=21")]
    with pytest.raises(UserError) as caught:
        Judgement(arms_of(runs)[0], stages, 0)
    first, images, *ways_out = str(caught.value).splitlines()
    assert first == f"{runs[1].folder} is judged on other images than {runs[0].folder}, so they cannot be compared:"
    assert "21 images of foreign, 100.jpg first; there: " in images and "22 images of foreign, 100.jpg first" in images
    assert len(ways_out) == 2
