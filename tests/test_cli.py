"""What users type, end to end on the embedded data: both arms, their evaluation, and what goes wrong."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import entreg
from entreg.data.sources import synthetic
from entreg.distributed.ranks import Ranks
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import finished, saved
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from tests.conftest import SMALL
from tests.report.browser import CHROMIUM, Page, assert_numbers_are_the_results, console

EPOCHS = "trainer.epochs=2"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints/final.pt", weights_only=True)["model"]


@pytest.fixture(scope="module")
def sweep(command, tmp_path_factory) -> Path:
    """Both arms, lambda 0 of the regularised one, and the evaluation of the first two."""
    folder = tmp_path_factory.mktemp("sweep")
    study = (*SMALL, EPOCHS, "loss.every=1", "optim.milestones=[0.9]", "trainer.checkpoint_every=1")
    done = command("-m", "loss=nll,nll_entropy", *study, "study=arms", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    done = command("loss=nll_entropy", "loss.lambda_entropy=0", *study, "hydra.run.dir=lambda0", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    done = command("task=evaluate", "hydra.run.dir=eval", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1].endswith("eval")
    return folder


def test_a_run_folder_holds_what_is_needed_to_trust_it(sweep):
    run = sweep / "multirun/arms/1"
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert names >= {
        ".hydra/config.yaml",
        "train.log",
        "metrics.csv",
        "steps.csv",
        "provenance.json",
        "checkpoints/final.pt",
        "center_bias.npz",
        "checkpoints/epoch_001.pt",
        "checkpoints/epoch_002.pt",
        "figures/loss_curves.png",
        "figures/bias_map.png",
        "figures/predictions.png",
    }
    assert "${" not in (run / ".hydra/config.yaml").read_text()
    assert len(rows(run / "metrics.csv")) == 2
    (start,) = json.loads((run / "provenance.json").read_text())
    assert len(start["fingerprints"]["weights"]) == 64


def test_training_learns_and_the_entropy_term_flattens_the_bias_map(sweep):
    baseline, regularised = (rows(sweep / f"multirun/arms/{i}/metrics.csv") for i in (0, 1))
    for run in (baseline, regularised):
        ig = [float(row["validation_ig_bits_per_fixation"]) for row in run]
        assert ig[1] > ig[0]
    assert float(regularised[-1]["bias_entropy_nats"]) > float(baseline[-1]["bias_entropy_nats"])


def test_lambda_zero_is_the_baseline_to_the_bit(sweep):
    baseline, lambda0 = weights(sweep / "multirun/arms/0"), weights(sweep / "lambda0")
    assert all(torch.equal(baseline[name], lambda0[name]) for name in baseline)


def test_both_arms_start_alike(sweep):
    first = [rows(sweep / f"multirun/arms/{i}/steps.csv")[0]["nll_nats"] for i in (0, 1)]
    assert first[0] == first[1]


def test_results_have_the_promised_keys_and_agree_with_the_tables(sweep):
    results = json.loads((sweep / "eval/results.json").read_text())
    table = rows(sweep / "eval/per_image.csv")
    for arm in ("nll", "nll_entropy"):
        for domain in ("in_domain", "ood.synthetic_ood"):
            for key in ("ig_bits_per_fixation", "ig_kde_bits_per_fixation", "ll_bits_per_fixation"):
                values = [float(r[key]) for r in table if (r["arm"], r["domain"]) == (arm, domain)]
                found = results["arms"][arm][domain][key]
                assert found["n_images"] == len(values) == (5 if domain == "in_domain" else 6)
                assert found["mean"] == pytest.approx(np.mean(values), abs=1e-9)
                assert found["std"] == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    base, ours = (results["arms"][arm] for arm in ("nll", "nll_entropy"))
    comparison = results["comparison"]
    assert comparison["bias_entropy_increase_percent"] == pytest.approx(
        (ours["bias_entropy_nats"] - base["bias_entropy_nats"]) / base["bias_entropy_nats"] * 100
    )
    for domain in ("in_domain", "ood"):
        assert comparison[domain]["ig_difference_bits"]["mean"] == pytest.approx(
            ours[domain]["ig_bits_per_fixation"]["mean"] - base[domain]["ig_bits_per_fixation"]["mean"], abs=1e-9
        )
    assert base["bias_entropy_deficit_nats"] == pytest.approx(math.log(144 * 192) - base["bias_entropy_nats"], abs=1e-6)


def test_the_page_and_the_tables_hold_the_results(sweep, tmp_path):
    results = json.loads((sweep / "eval/results.json").read_text())
    path = sweep / "eval/report.html"
    shown = Page(path.read_text())
    assert_numbers_are_the_results(shown, results)
    assert "All images are synthetic" in shown.text and "A single training of each arm cannot show" in shown.text
    table = {(r["arm"], r["domain"], r["metric"]): float(r["mean"]) for r in rows(sweep / "eval/arms.csv")}
    assert table["nll", "ood", "nss"] == results["arms"]["nll"]["ood"]["nss"]["mean"]
    assert table["nll", "", "sigma_px"] == results["arms"]["nll"]["sigma_px"]
    comparisons = rows(sweep / "eval/comparisons.csv")
    (row,) = (r for r in comparisons if (r["domain"], r["metric"]) == ("ood", "ig_difference_bits"))
    assert row["ci95_low"] == "" and row["verdict"] == "no verdict"
    low, _ = results["comparison"]["ood"]["ig_difference_bits"]["ci95_over_images"]
    assert float(row["ci95_over_images_low"]) == low
    if CHROMIUM is not None:
        assert not console(path, tmp_path)[1]


def test_what_knowing_the_bias_would_buy_is_judged_image_by_image(sweep):
    ood = json.loads((sweep / "eval/results.json").read_text())["arms"]["nll"]["ood.synthetic_ood"]
    table = [r for r in rows(sweep / "eval/per_image.csv") if (r["arm"], r["domain"]) == ("nll", "ood.synthetic_ood")]
    for kind, column in (("training", ""), ("own", "own_center_bias_"), ("uniform", "uniform_center_bias_")):
        values = [float(r[f"ig_{column}bits_per_fixation"]) for r in table]
        assert ood["ig_by_center_bias"][kind]["mean"] == pytest.approx(np.mean(values), abs=1e-9)
    assert len({ood["ig_by_center_bias"][kind]["mean"] for kind in ("training", "own", "uniform")}) == 3


@pytest.mark.slow
def test_runs_judged_on_other_images_are_refused_before_any_is_judged(command, sweep):
    words = "task=evaluate", "runs=multirun/arms", "hydra.run.dir=few", "ood.synthetic_ood.limit=3"
    done = command(*words, folder=sweep)
    assert done.returncode == 0, done.stdout + done.stderr  # typed settings hold for all runs
    others = (*SMALL, "trainer.epochs=1", "data.split_seed=1", "hydra.run.dir=multirun/arms/2")
    done = command("loss=nll", *others, folder=sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    done = command("task=evaluate", "runs=multirun/arms", "hydra.run.dir=mixed", folder=sweep)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "multirun/arms/2 is evaluated on other images" in done.stderr and "runs=FOLDER" in done.stderr
    assert "scored" not in done.stdout and not (sweep / "mixed/results.json").exists()


def test_evaluation_repeats_what_training_measured(sweep):
    results = json.loads((sweep / "eval/results.json").read_text())
    for i, arm in enumerate(("nll", "nll_entropy")):
        last = rows(sweep / f"multirun/arms/{i}/metrics.csv")[-1]
        found = results["arms"][arm]
        assert found["in_domain"]["ig_bits_per_fixation"]["mean"] == pytest.approx(
            float(last["validation_ig_bits_per_fixation"]), abs=1e-5
        )
        assert found["bias_entropy_nats"] == pytest.approx(float(last["bias_entropy_nats"]), abs=1e-5)


def test_a_loaded_run_predicts_what_training_measured(sweep, store):
    """Its mean NLL at the fixations on the validation images, which have the size that it was trained at."""
    run = RunFolder(sweep / "multirun/arms/1")
    study = Study(finished(run, saved(run)).config, StudyCache(Ranks()))
    (validation,) = study.validation.parts.values()
    trained = entreg.load(run.path, device="cpu")
    nll_nats = [
        -trained.log_density(stimulus.path)[y, x].mean()
        for stimulus, (y, x) in zip(validation.stimuli, validation.fixations, strict=True)
    ]
    last = rows(run.metrics)[-1]
    assert np.mean(nll_nats) == pytest.approx(float(last["validation_nll_nats"]), abs=1e-5)


def test_photos_of_any_size_are_predicted_on_the_command_line(command, sweep):
    photos = sweep / "photos"
    photos.mkdir()
    Image.effect_noise((90, 61), 80).save(photos / "a.png")
    (photos / "b.png").write_text("no photo")
    done = command("task=predict", "run=multirun/arms/1", "images=photos", "hydra.run.dir=predicted", folder=sweep)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"1 of 2 images could not be predicted, the others are done:\n  {photos}/b.png cannot be read" in done.stderr
    with np.load(sweep / "predicted/log_densities/a.png.npz") as kept:
        expected = entreg.load(sweep / "multirun/arms/1", device="cpu").log_density(photos / "a.png")
        np.testing.assert_allclose(kept["log_density"], expected, atol=1e-5)


def test_the_oracle_of_synthetic_data_is_its_negative_cross_entropy(sweep, store):
    """Mean log density of the truth at fixations sampled from it: -entropy, within five standard errors."""
    results = json.loads((sweep / "eval/results.json").read_text())
    saved = json.loads(json.dumps(results["arms"]["nll"]["ood.synthetic_ood"]))
    settings = synthetic.Settings(images=6, seed=2, long_side_px=192, short_side_px=144)
    assert saved["oracle_ig_bits_per_fixation"]["mean"] > saved["ig_bits_per_fixation"]["mean"]
    settings.root = str(store / "synthetic")
    truth = [settings.true_log_density(i) for i in range(6)]
    dataset = synthetic.load(settings)
    found, entropy, variance = [], [], []
    for i, log_p in enumerate(truth):
        own = dataset.fixations.image == i
        at = log_p[dataset.fixations.y[own].astype(int), dataset.fixations.x[own].astype(int)]
        p = np.exp(log_p)
        found.append(at.mean())
        entropy.append(-(p * log_p).sum())
        variance.append(((p * log_p**2).sum() - entropy[-1] ** 2) / own.sum())
    assert abs(np.mean(found) + np.mean(entropy)) < 5 * math.sqrt(np.sum(variance)) / 6


def test_evaluation_without_runs_says_what_to_type(command, tmp_path):
    done = command("task=evaluate", folder=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "python train.py -m loss=nll,nll_entropy" in done.stderr


def test_missing_data_names_the_way_out(command, tmp_path):
    done = command("experiment=triage", "hardware=cpu", folder=tmp_path)
    assert done.returncode == 1
    assert "data=synthetic" in done.stderr and "Traceback" not in done.stderr


def test_a_wrong_value_fails_before_anything_is_loaded(command, tmp_path):
    done = command("ood.synthetic_ood.sigma_px=-3", folder=tmp_path)
    assert done.returncode != 0
    assert "ood.synthetic_ood.sigma_px=-3" in done.stderr and "synthetic:" not in done.stdout


def test_help_is_worth_reading(command, tmp_path):
    done = command("--help=all", folder=tmp_path)
    assert done.returncode == 0
    for words in ("loss: nll, nll_entropy", "trainer.epochs = 25", "hydra/launcher=submitit_slurm"):
        assert words in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_trains_to_the_same_gain(command, sweep, precision, tmp_path):
    both = f"hardware.precision={precision}", f"model.backbone.precision={precision}"
    study = (*SMALL, EPOCHS, "optim.milestones=[0.9]", *both)
    done = command("loss=nll", *study, "hydra.run.dir=low", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    low, full = (rows(folder / "metrics.csv")[-1] for folder in (tmp_path / "low", sweep / "multirun/arms/0"))
    ig = [float(row["validation_ig_bits_per_fixation"]) for row in (low, full)]
    assert all(math.isfinite(float(row["nll_nats"])) for row in rows(tmp_path / "low/steps.csv"))
    assert abs(ig[0] - ig[1]) <= 0.01
