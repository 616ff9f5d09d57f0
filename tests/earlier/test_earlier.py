"""Folders of version 0.2.0: they are evaluated to the same results, and unfinished runs go on.

0.2.0/README.md says how they were made.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from entreg.version import VERSION

HERE = Path(__file__).parent / "0.2.0"
UNFINISHED = (
    "data=folder",
    "data.root=data/photos",
    "data.name=photos",
    "ood=[]",
    "+data@ood.foreign=folder",
    "ood.foreign.root=data/foreign",
    "data.folds=4",
    "data.long_side_px=96",
    "data.short_side_px=72",
    "data.sigma_px=3.5",
    "ood.foreign.long_side_px=96",
    "ood.foreign.short_side_px=72",
    "ood.foreign.sigma_px=3.5",
    "trainer.batch_size=3",
    "uniform.images=2",
    "model.backbone.taps=[relu1_2]",
    "hardware=cpu",
    "hardware.threads=1",
    "trainer.epochs=6",
    "trainer.checkpoint_every=2",
    "loss=nll_entropy",
    "study=long",
    "hydra.run.dir=unfinished",
)


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A copy of what the earlier version left, to be evaluated and resumed."""
    folder = tmp_path_factory.mktemp("earlier")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    return folder


def test_a_finished_sweep_is_judged_to_the_same_results(command, place):
    """Within 1e-4 bit and 1e-4 nats."""
    done = command(
        "task=evaluate",
        "runs=multirun/arms",
        "hydra.run.dir=evaluation",
        "paths.data=data",
        "hardware=cpu",
        "hardware.threads=1",
        folder=place,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = table(place / "expected/per_image.csv")
    found = {(row["run"], row["domain"], row["image"]): row for row in table(place / "evaluation/per_image.csv")}
    assert len(found) == len(rows) == 2 * (2 + 4)
    for row in rows:
        ours = found[row["run"], row["domain"], row["image"]]
        assert ours["arm"] == row["arm"] and ours["seed"] == row["seed"]
        numbers = [key for key in row if row[key] and key not in ("arm", "seed", "domain", "run", "image", "category")]
        assert {"ig_bits_per_fixation", "ig_kde_bits_per_fixation", "ll_bits_per_fixation", "auc"} <= {*numbers}
        for key in numbers:
            expected = pytest.approx(float(row[key]), abs=1e-4)
            assert float(ours[key]) == expected, (row["image"], key)
    arms = json.loads((place / "evaluation/results.json").read_text())["arms"]
    expected_arms = json.loads((place / "expected/arms.json").read_text())
    assert arms.keys() == expected_arms.keys() == {"nll", "nll_entropy"}
    for name, expected in expected_arms.items():
        assert {key: arms[name][key] for key in expected} == pytest.approx(expected, abs=1e-4)


def test_another_config_is_refused_there(command, place):
    done = command(*UNFINISHED, "loss.every=2", folder=place)
    assert done.returncode == 1
    assert "these settings differ: loss.every." in done.stderr


def test_an_unfinished_run_goes_on_to_its_end_and_says_who_began_it(command, place):
    done = command(*UNFINISHED, "loss.every=1", folder=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resumed from" in done.stdout and "epoch 3, step 6" in done.stdout
    said = f"unfinished was begun by version 0.2.0; this is version {VERSION}, so that its last digits may differ"
    assert done.stdout.count(said) == 1
    found, expected = table(place / "unfinished/metrics.csv"), table(place / "expected/unfinished.csv")
    assert len(found) == len(expected) == 6
    for ours, theirs in zip(found, expected, strict=True):
        for key in ("validation_nll_nats", "validation_ig_bits_per_fixation", "bias_entropy_nats"):
            # Adam's steps carry roundings on
            assert float(ours[key]) == pytest.approx(float(theirs[key]), abs=1e-3), (ours["epoch"], key)
    starts = json.loads((place / "unfinished/provenance.json").read_text())
    assert [start.get("version") for start in starts] == [None, VERSION]
    assert (place / "unfinished/checkpoints/final.pt").is_file()
