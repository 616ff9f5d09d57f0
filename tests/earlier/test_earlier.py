"""Folders that earlier versions left: evaluated and resumed to the last digit."""
from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from entreg.run.hardware import processor_name
from tests.conftest import TRUST

HERE = Path(__file__).parent / "f7f6b1e"
COMMON = (
    "data=folder", "data.root=data/photos", "data.name=photos",
    "ood=[]", "+data@ood.foreign=folder",
    "ood.foreign.root=data/foreign",
    "data.folds=4", "trainer.batch_size=6", "uniform.images=3", "data.long_side_px=192", "data.short_side_px=144",
    "data.sigma_px=7", "ood.foreign.long_side_px=192", "ood.foreign.short_side_px=144", "ood.foreign.sigma_px=7",
    "model.backbone.taps=[conv1_2,relu2_2]", "hardware=cpu", "hardware.threads=1",
)


def made_here() -> bool:
    """Whether this machine rounds as the one did that made the files."""
    made_with = json.loads((HERE / "made_with.json").read_text())
    if (processor_name("cpu"), torch.__version__) != (made_with["processor"], made_with["torch"]):
        return False
    return torch.backends.cpu.get_cpu_capability() == made_with["cpu_capability"]


def same(found: float, expected: float) -> bool:
    return found == expected if made_here() else found == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A copy of what the earlier version left, to be evaluated and gone on with."""
    folder = tmp_path_factory.mktemp("earlier")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    return folder


def test_a_sweep_is_evaluated_to_the_last_digit(command, place):
    done = command("task=evaluate", "runs=multirun/arms", "hydra.run.dir=evaluation", "paths.data=data", *TRUST,
                   folder=place)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(place / "expected/per_image.csv") as file:
        rows = list(csv.DictReader(file))
    with open(place / "evaluation/per_image.csv") as file:
        found = {(row["run"], row["domain"], row["image"]): row for row in csv.DictReader(file)}
    assert len(found) == len(rows) == 4 * (4 + 5)
    for row in rows:
        domain = {"ood": "ood.foreign"}.get(row["domain"], row["domain"])
        ours = found[row["run"], domain, row["image"]]
        assert ours["arm"] == row["arm"] and ours["seed"] == row["seed"]
        numbers = [key for key in row if row[key] and key not in ("arm", "seed", "domain", "run", "image", "category")]
        assert all(same(float(ours[key]), float(row[key])) for key in numbers)
    expected, results = (json.loads((place / name / "results.json").read_text()) for name in ("expected", "evaluation"))
    for name, arm in expected["arms"].items():
        ours = results["arms"][name]
        assert ours["seeds"] == arm["seeds"] and ours["settings"] == arm["settings"]
        for key in ("bias_entropy_nats", "bias_entropy_without_center_bias_nats", "center_bias_weight", "sigma_px"):
            assert same(ours[key], arm[key])


def assert_same_weights(run: Path, expected: Path) -> None:
    ours, theirs = (torch.load(path, weights_only=True)["model"] for path in (run / "checkpoints/final.pt", expected))
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert torch.equal(ours[name], weight) if made_here() else torch.allclose(ours[name], weight, atol=1e-4), name


def test_an_unfinished_run_goes_on_to_the_last_digit(command, place):
    words = (*COMMON, "trainer.epochs=4", "loss=nll_entropy", "loss.every=1", "study=long", "hydra.run.dir=unfinished")
    done = command(*words, *TRUST, folder=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resumed from" in done.stdout
    assert_same_weights(place / "unfinished", place / "expected/unfinished.pt")
    starts = json.loads((place / "unfinished/provenance.json").read_text())
    assert len(starts) == 2 and starts[0]["git_commit"].startswith("f7f6b1e")


def test_another_config_is_still_refused_there(command, place):
    words = (*COMMON, "trainer.epochs=4", "loss=nll_entropy", "loss.every=2", "study=long", "hydra.run.dir=unfinished")
    done = command(*words, *TRUST, folder=place)
    assert done.returncode == 1
    assert "these settings differ: loss.every." in done.stderr


def test_a_sweep_that_was_killed_goes_on_to_the_last_digit(command, place):
    done = command("-m", *COMMON, "trainer.epochs=2", "loss=nll,nll_entropy", "study=cut", *TRUST, folder=place)
    assert done.returncode == 0, done.stdout + done.stderr
    for run in (0, 1):
        assert_same_weights(place / f"multirun/cut/{run}", place / f"expected/cut_{run}.pt")
