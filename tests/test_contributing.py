"""The recipes of CONTRIBUTING.md are carried out, word by word, on a copy of the project."""
from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, SMALL

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S))


def blocks(section: str) -> list[tuple[str, str]]:
    """(the line above, content) of each fenced block of a recipe."""
    return re.findall(r"^([^\n]+)\n```\w+\n(.*?)```$", SECTIONS[section], re.M | re.S)


@pytest.fixture
def project(tmp_path):
    """A copy of the project's code, and carry_out(section): writes the files that a recipe shows whole; returns all."""
    copy = tmp_path / "project"
    for name in ("conf", "entreg"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(ROOT / "train.py", copy)

    def carry_out(section: str) -> dict[str, str]:
        found = dict(blocks(section))
        for head, content in found.items():
            path = re.fullmatch(r"`(\S+)`", head)
            if path:
                (copy / path[1]).write_text(content)
        return found

    return copy, carry_out


def insert(path: Path, before: str, content: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1, f"{path.name} has no single place like {before!r}"
    path.write_text(text.replace(before, content + before))


def run(copy: Path, store: Path, *words: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        (sys.executable, "train.py", *words, f"paths.store={store}"), cwd=copy, capture_output=True, text=True,
        timeout=250, env=os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def draw_photos(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def test_a_data_set_is_one_yaml_and_a_line(project, store):
    copy, carry_out = project
    assert list(carry_out("A data set in a layout that is known")) == ["`conf/data/toy.yaml`", "`conf/ood/toy.yaml`"]
    draw_photos(copy / "data/toy/stimuli", 8)
    rows = [f"{i}.png,{10 + i},{20 + k}" for i in range(8) for k in range(5)]
    (copy / "data/toy/fixations.csv").write_text("\n".join(["image,x,y", *rows]))
    small = [word for word in SMALL if "side_px" in word and word.startswith("data.")]
    done = run(copy, store, "data=toy", "ood=[toy]", *small, "data.folds=4", "trainer.epochs=1", "uniform.images=2",
               "hydra.run.dir=run")
    assert "toy: 8 images, 40 fixations" in done.stdout


def test_a_backbone_is_one_yaml(project, store):
    copy, carry_out = project
    assert list(carry_out("A backbone")) == ["`conf/model/deepgaze3_squeezenet.yaml`"]
    done = run(copy, store, "model=deepgaze3_squeezenet", *SMALL, "trainer.epochs=1", "hydra.run.dir=run")
    assert "RANDOM WEIGHTS (model.backbone.weights=null) of torchvision's squeezenet1_1, seed 0" in done.stdout
    made, = json.loads((copy / "run/provenance.json").read_text())
    assert made["features"]["backbone"] == "squeezenet1_1"
    assert made["features"]["taps"] == ["features.6", "features.12"]


def test_a_source_is_a_module_and_a_yaml(project, store):
    copy, carry_out = project
    assert list(carry_out("A source of data sets")) == ["`entreg/data/sources/listed.py`", "`conf/data/listed.yaml`"]
    draw_photos(copy / "photos", 8)
    small = [word for word in SMALL if "side_px" in word and word.startswith("data.")]
    done = run(copy, store, "data=listed", "data.root=photos", "ood=[]", *small, "data.folds=4", "trainer.epochs=1",
               "uniform.images=2", "hydra.run.dir=run")
    assert "listed: 8 images, 8 fixations" in done.stdout
    assert "data.suffix = .png: end of the photos' names" in run(copy, store, "--help").stdout


def test_a_metric_is_two_files(project, store):
    copy, carry_out = project
    (_, table), (_, function), (_, row) = carry_out("A metric").items()
    metrics, scores = copy / "entreg/evaluate/metrics.py", copy / "entreg/evaluate/scores.py"
    metrics.write_text(metrics.read_text().replace("\n))\n", "\n" + table, 1) + function)
    known, new = row.splitlines(keepends=True)
    assert known in scores.read_text()
    scores.write_text(scores.read_text().replace(known, known + new))
    run(copy, store, "loss=nll", *SMALL, "trainer.epochs=1", "hydra.run.dir=run")
    run(copy, store, "task=evaluate", "runs=run", "hydra.run.dir=evaluation")
    results = json.loads((copy / "evaluation/results.json").read_text())
    assert 0 < results["arms"]["nll"]["in_domain"]["peak"]["mean"] < 1
    assert "The greatest density of any pixel." in (copy / "evaluation/report.html").read_text()


def test_a_loss_is_three_files(project, store):
    copy, carry_out = project
    (_, config), (_, function), (_, entry), _ = carry_out("A loss").items()
    names, weight = config.splitlines()
    path = copy / "entreg/config.py"
    text = path.read_text()
    for new in (names, weight):
        old = re.sub(r',?\s*"nll_peak"(: self\.lambda_entropy)?', "", new)
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    losses = copy / "entreg/train/losses.py"
    insert(losses, "REGULARISERS = {", function)
    losses.write_text(losses.read_text().rstrip().removesuffix("}") + entry + "}\n")
    run(copy, store, "loss=nll_peak", "loss.lambda_entropy=2", "loss.every=1", *SMALL, "trainer.epochs=1",
        "hydra.run.dir=run")
    with open(copy / "run/steps.csv") as file:
        peaks = [float(row["greatest_density"]) for row in csv.DictReader(file)]
    assert len(peaks) == 3 and all(0 < peak < 1 for peak in peaks)


def test_a_task_is_two_files(project, store):
    copy, carry_out = project
    assert list(carry_out("A task")) == ["`entreg/tasks/count.py`", "`conf/task/count.yaml`"]
    done = run(copy, store, "-m", "task=count", "data.images=7,9", "study=counts")
    assert "7 images, 630 fixations" in done.stdout and "9 images, 810 fixations" in done.stdout
    assert re.search(r"\n0 +data.images=7 +finished +multirun/counts/0\n", done.stdout)
