"""All folds of a cross-validation in one sweep: each image is judged by models that did not learn from it."""

from __future__ import annotations

import csv
import json
import re
import shutil

import numpy as np
import pytest

from tests.conftest import SMALL

pytestmark = pytest.mark.slow
FOLDS, SEEDS, IMAGES = 2, 2, 20


@pytest.fixture(scope="module")
def sweep(command, tmp_path_factory):
    """Where two arms of two seeds were trained on two folds, and judged: the folder, results.json, per_image.csv."""
    folder = tmp_path_factory.mktemp("cross_validation")
    for words in (
        (
            "-m",
            "loss=nll,nll_entropy",
            "data.fold=0,1",
            "seed=0,1",
            "trainer.epochs=1",
            "study=cv",
            *SMALL,
            f"data.folds={FOLDS}",
        ),
        ("task=evaluate", "runs=multirun/cv", f"hydra.run.dir={folder}/evaluation"),
    ):
        ended = command(*words, folder=folder, timeout_s=900)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "8 runs, grouped by loss.name into 2 arms: nll (2 trainings of 2 folds)" in ended.stdout.replace(
        "loss.lambda_entropy, ", ""
    )
    with (folder / "evaluation/per_image.csv").open() as file:
        return folder, json.loads((folder / "evaluation/results.json").read_text()), list(csv.DictReader(file))


def values(rows, arm: str, domain: str) -> dict[str, dict[str, list[float]]]:
    """IG by seed and image; out of domain one for each fold."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if (row["arm"], row["domain"]) == (arm, domain):
            ig = found.setdefault(row["seed"], {}).setdefault(row["image"], [])
            ig.append(float(row["ig_bits_per_fixation"]))
    return found


def test_each_image_is_judged_once_in_domain_by_the_fold_that_left_it_out(sweep):
    folder, results, rows = sweep
    page = (folder / "evaluation/report.html").read_text()
    by_seed = values(rows, "nll", "in_domain")
    assert len(by_seed) == SEEDS
    assert all(len(images) == IMAGES and all(len(v) == 1 for v in images.values()) for images in by_seed.values())
    mean = np.mean([[v[0] for v in images.values()] for images in by_seed.values()])
    metric = results["arms"]["nll"]["in_domain"]["ig_bits_per_fixation"]
    assert metric["mean"] == pytest.approx(mean) and (metric["n_images"], metric["n_seeds"]) == (IMAGES, SEEDS)
    assert results["data"]["in_domain"]["n_images"] == IMAGES
    assert results["arms"]["nll"]["folds"] == FOLDS
    assert re.search(rf"<td[^>]*>{SEEDS} of {FOLDS} folds</td>", page)
    assert f"a training consists of {FOLDS} models, each of which learned from all folds but one." in page
    assert results["arms"]["nll"]["seeds"] == [0, 1] and len(results["arms"]["nll"]["runs"]) == FOLDS * SEEDS


def test_out_of_domain_folds_are_averaged_before_anything_is_compared(sweep):
    _, results, rows = sweep
    ours, base = (values(rows, arm, "ood.synthetic_ood") for arm in ("nll_entropy", "nll"))
    assert all(len(v) == FOLDS for images in base.values() for v in images.values())
    gaps = np.array(
        [[np.mean(ours[seed][image]) - np.mean(base[seed][image]) for image in base[seed]] for seed in ("0", "1")]
    )
    found = results["comparison"]["ood.synthetic_ood"]["ig_difference_bits"]
    assert found["mean"] == pytest.approx(gaps.mean()) and found["n_seeds"] == SEEDS
    # two seeds: the seeds' standard error is half of what they differ by
    assert found["seeds_part"] == pytest.approx(abs(gaps.mean(1)[0] - gaps.mean(1)[1]) / 2)


def test_a_fold_that_is_missing_is_named_and_refused(sweep, command, tmp_path):
    folder, _, _ = sweep
    shutil.copytree(folder / "multirun", tmp_path / "multirun")
    places = sorted((tmp_path / "multirun/cv").glob("[0-9]*"), key=lambda path: int(path.name))
    gone = next(
        p
        for p in places
        if {"loss=nll", "data.fold=1", "seed=1"}
        <= set((p / ".hydra/overrides.yaml").read_text().replace("- ", "").splitlines())
    )
    (gone / "checkpoints/final.pt").unlink()
    ended = command("task=evaluate", "runs=multirun/cv", folder=tmp_path, timeout_s=300)
    assert ended.returncode == 1
    assert "A cross-validation needs all of its folds. Missing: nll, seed 1: data.fold=1" in ended.stderr
    assert f"not finished   {gone.relative_to(tmp_path)}" in ended.stderr
