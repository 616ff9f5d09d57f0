"""The recipes of CONTRIBUTING.md are carried out, word by word, on a copy of the project.

Each takes seconds, and CI runs them in a step of their own.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import ROOT, SMALL

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
END = "\n    ),\n)\n"  # of a list's last entry, and of the list
pytestmark = pytest.mark.slow
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


def touched(copy: Path) -> set[str]:
    """The files of the copy that are new or differ."""
    paths = (path for name in ("conf", "entreg") for path in (copy / name).rglob("*") if path.is_file())
    names = {path.relative_to(copy) for path in paths if path.suffix in (".py", ".yaml")}
    return {str(n) for n in names if not (ROOT / n).is_file() or (ROOT / n).read_bytes() != (copy / n).read_bytes()}


@pytest.fixture
def run(library_server, store):
    """run(copy, *words): the copy's train.py with these words, which gets through."""

    def get_through(copy: Path, *words: str) -> subprocess.CompletedProcess:
        done = library_server.run((*words, f"paths.store={store}"), copy, timeout_s=250, path=(copy,))
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return get_through


def draw_photos(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def test_a_data_set_to_learn_from_or_to_judge_on_is_one_yaml(project, run):
    copy, carry_out = project
    carry_out("A data set in a layout that is known")
    assert touched(copy) == {"conf/data/toy.yaml"}
    draw_photos(copy / "data/toy/stimuli", 8)
    rows = [f"{i}.png,{10 + i},{20 + k}" for i in range(8) for k in range(5)]
    (copy / "data/toy/fixations.csv").write_text("\n".join(["image,x,y", *rows]))
    small = [word for word in SMALL if "side_px" in word and word.startswith("data.")]
    done = run(
        copy,
        "data=toy",
        "model.backbone.weights=null",
        "ood=[toy]",
        *small,
        "data.folds=4",
        "trainer.epochs=1",
        "uniform.images=2",
        "hydra.run.dir=run",
    )
    assert "toy: 8 images, 40 fixations" in done.stdout


def test_a_backbone_is_one_yaml(project, run):
    copy, carry_out = project
    carry_out("A backbone")
    assert touched(copy) == {"conf/model/deepgaze3_squeezenet.yaml"}
    done = run(copy, "model=deepgaze3_squeezenet", *SMALL, "trainer.epochs=1", "hydra.run.dir=run")
    assert "RANDOM WEIGHTS (model.backbone.weights=null) of torchvision's squeezenet1_1, seed 0" in done.stdout
    (made,) = json.loads((copy / "run/provenance.json").read_text())
    assert made["features"]["backbone"] == "squeezenet1_1"
    assert made["features"]["taps"] == ["features.6", "features.12"]


def test_an_optimiser_is_one_yaml(project, run):
    copy, carry_out = project
    carry_out("An optimiser")
    assert touched(copy) == {"conf/optim/nadam.yaml"}
    run(copy, "optim=nadam", *SMALL, "trainer.epochs=1", "hydra.run.dir=run")
    saved = yaml.safe_load((copy / "run/.hydra/config.yaml").read_text())["optim"]
    assert (saved["name"], saved["settings"], saved["lr"]) == ("NAdam", {"weight_decay": 0.01}, 0.001)


def test_a_backbone_and_a_regulariser_of_another_package_are_a_module_and_two_yamls(project, run):
    copy, carry_out = project
    carry_out("A backbone or a regulariser of another package")
    assert touched(copy) == {"conf/model/deepgaze3_mylab.yaml", "conf/loss/nll_peak_of_mylab.yaml"}
    words = "model=deepgaze3_mylab", "loss=nll_peak_of_mylab", "loss.every=1", *SMALL, "trainer.epochs=1"
    run(copy, *words, "allow=[mylab]", "hydra.run.dir=run")
    with (copy / "run/steps.csv").open() as file:
        peaks = [float(row["regulariser"]) for row in csv.DictReader(file)]
    assert len(peaks) == 3 and all(0 < peak < 1 for peak in peaks)
    (made,) = json.loads((copy / "run/provenance.json").read_text())
    assert made["features"]["backbone"] == "mylab" and made["called_packages"] == {"mylab": "unknown"}


def test_a_format_of_tables_is_one_yaml(project, run):
    """Photos of 80 x 60 px in the middle of a screen of 160 x 120: its centre is theirs."""
    copy, carry_out = project
    carry_out("A format of tables")
    assert touched(copy) == {"entreg/data/tables/presets/mytracker.yaml"}
    draw_photos(copy / "lab/stimuli", 1)
    rows = ["Who\tPicture\tPosX\tPosY\tBegin\tLength", "ann\t0\t0\t0\t.2\t.3", "ann\t0\t10\t5\t.6\t.1"]
    (copy / "lab/recorded.tsv").write_text("\n".join(rows))
    words = re.search(r"`(task=import [^`]+)`", SECTIONS["A format of tables"])[1].replace("PATH", "lab").split()
    run(copy, *words, "hydra.run.dir=imported")
    assert (copy / "lab/fixations.csv").read_text() == (
        "image,subject,order,x,y,start,duration\n0.png,ann,0,40.0,30.0,200.0,300.0\n0.png,ann,1,50.0,25.0,600.0,100.0\n"
    )


def test_a_source_is_a_module_and_a_yaml(project, run):
    copy, carry_out = project
    carry_out("A source of data sets")
    assert touched(copy) == {"entreg/data/sources/listed.py", "conf/data/listed.yaml"}
    draw_photos(copy / "photos", 8)
    small = [word for word in SMALL if "side_px" in word and word.startswith("data.")]
    done = run(
        copy,
        "data=listed",
        "model.backbone.weights=null",
        "data.root=photos",
        "ood=[]",
        *small,
        "data.folds=4",
        "trainer.epochs=1",
        "uniform.images=2",
        "hydra.run.dir=run",
    )
    assert "listed: 8 images, 8 fixations" in done.stdout
    assert "data.suffix = .png: end of the photos' names" in run(copy, "--help=all").stdout


def test_a_metric_is_an_entry_of_a_list(project, run):
    copy, carry_out = project
    ((_, entry),) = carry_out("A metric").items()
    path = copy / "entreg/evaluation/metrics.py"
    head, tail = path.read_text().split("METRICS = (\n")
    path.write_text(f"{head}METRICS = (\n{tail.replace(END, END[:-2] + entry + END[-2:], 1)}")
    assert touched(copy) == {"entreg/evaluation/metrics.py"}
    run(copy, "loss=nll", *SMALL, "trainer.epochs=1", "evaluation.primary.metric=peak", "hydra.run.dir=run")
    run(copy, "task=evaluate", "runs=run", "hydra.run.dir=evaluation")
    results = json.loads((copy / "evaluation/results.json").read_text())
    assert 0 < results["arms"]["nll"]["in_domain"]["peak"]["mean"] < 1
    assert results["primary"]["metric"] == "peak"
    assert "The greatest density of any pixel." in (copy / "evaluation/report.html").read_text()


def test_a_loss_is_a_module_and_a_yaml(project, run):
    """It is trained and reported beside the baseline, with a setting of its own."""
    copy, carry_out = project
    carry_out("A loss")
    assert touched(copy) == {"entreg/losses/nll_peak.py", "conf/loss/nll_peak.yaml"}
    meant = "+evaluation.primary.arm={loss.name:nll_peak,loss.power:0.5,loss.lambda_entropy:2,loss.every:1}"
    small = (*SMALL, "loss.lambda_entropy=2", "loss.every=1", "trainer.epochs=1", "study=peaks", meant)
    run(copy, "loss=nll", *small, "hydra.run.dir=peaks/nll")
    run(copy, "loss=nll_peak", "loss.power=0.5", *small, "hydra.run.dir=peaks/nll_peak")
    with (copy / "peaks/nll_peak/steps.csv").open() as file:
        peaks = [float(row["greatest_density"]) for row in csv.DictReader(file)]
    assert len(peaks) == 3 and all(0 < peak < 1 for peak in peaks)
    run(copy, "task=evaluate", "runs=peaks", "hydra.run.dir=evaluation")
    results = json.loads((copy / "evaluation/results.json").read_text())
    assert list(results["comparisons"]) == ["nll_peak"] and results["comparisons"]["nll_peak"]["baseline"] == "nll"
    assert results["primary"]["arm"] == "nll_peak"
    assert "nll_peak" in (copy / "evaluation/report.html").read_text().replace("<wbr>", "")
    assert "loss.power = 1.0: of the greatest density (above 0)" in run(copy, "--help=all").stdout


def test_a_task_is_two_files(project, run):
    copy, carry_out = project
    carry_out("A task")
    assert touched(copy) == {"entreg/tasks/count.py", "conf/task/count.yaml"}
    done = run(copy, "-m", "task=count", "data.images=7,9", "study=counts")
    assert "7 images, 630 fixations" in done.stdout and "9 images, 810 fixations" in done.stdout
    assert re.search(r"\n0 +data.images=7 +finished +multirun/counts/0\n", done.stdout)
