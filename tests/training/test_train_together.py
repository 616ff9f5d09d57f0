"""The training of a group of runs, from the command line: folders, refusals, kills and ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from entreg.config.settings import resolved
from entreg.runs.folder import RunFolder
from entreg.training.train_together import train_together
from tests.conftest import SMALL

COMMON = (*SMALL, "hardware=cpu", "hardware.threads=1", "trainer.epochs=2", "loss.every=1")
SWEEP = ("-m", *COMMON, "loss=nll,nll_entropy", "seed=0,1")


def weights(folder) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints/final.pt", weights_only=True)["model"]


def assert_same(found, expected) -> None:
    ours, theirs = weights(found), weights(expected)
    assert [name for name, value in theirs.items() if not torch.equal(ours[name], value)] == []
    assert (found / "steps.csv").read_text() == (expected / "steps.csv").read_text()


def test_each_keeps_what_a_run_alone_keeps_and_one_that_is_damaged_is_trained_again(
    command, composed, store, tmp_path, caplog
):
    first = command("-m", *COMMON, "loss=nll,nll_entropy", "study=s", "hydra/launcher=together", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    damaged, finished = (tmp_path / f"multirun/s/{number}" for number in (0, 1))
    for folder in (damaged, finished):
        with np.load(folder / "center_bias.npz") as arrays:
            assert arrays.files
        assert not (folder / "checkpoints/last.pt").exists()
    before = weights(damaged)
    final = damaged / "checkpoints/final.pt"
    final.write_bytes(final.read_bytes()[:1000])
    # one that was killed between its last two steps
    (finished / "checkpoints/last.pt").write_bytes((finished / "checkpoints/final.pt").read_bytes())
    runs = [
        (resolved(composed(*COMMON, f"loss={loss}", "study=s", f"paths.store={store}")), RunFolder(path))
        for loss, path in (("nll", damaged), ("nll_entropy", finished))
    ]
    with caplog.at_level("INFO"):
        assert train_together(runs, [False, False]) == [folder.last_ig_bits() for _, folder in runs]
    assert final.with_name("final.pt.broken").exists() and f"finished before: {finished}" in caplog.text
    assert all(torch.equal(value, before[name]) for name, value in weights(damaged).items())
    assert not (finished / "checkpoints/last.pt").exists()


@pytest.fixture(scope="module")
def alone(command, tmp_path_factory):
    """The sweep, its jobs one after the other."""
    place = tmp_path_factory.mktemp("alone")
    done = command(*SWEEP, "study=s", folder=place)
    assert done.returncode == 0, done.stderr
    assert "hydra/launcher=together" in done.stdout  # it says that it could be faster
    return place / "multirun/s"


@pytest.mark.slow
def test_each_run_has_its_folder_and_its_result(command, alone, tmp_path):
    done = command(*SWEEP, "study=s", "hydra/launcher=together", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for number in range(4):
        folder = tmp_path / f"multirun/s/{number}"
        assert {path.name for path in folder.iterdir()} == {path.name for path in (alone / str(number)).iterdir()}
        assert_same(folder, alone / str(number))
        lines = [line for line in (folder / "train.log").read_text().splitlines() if "epoch 2/2" in line]
        assert len(lines) == 1
    assert (tmp_path / "multirun/s/2/.hydra/overrides.yaml").read_text().count("loss=nll_entropy") == 1
    again = command(*SWEEP, "study=s", "hydra/launcher=together", folder=tmp_path)
    assert again.returncode == 0 and "epoch 1/2" not in again.stdout


@pytest.mark.slow
def test_one_that_is_refused_or_broken_is_left_out_and_the_others_go_on(command, alone, tmp_path):
    first = command(*SWEEP, "study=s", "hydra/launcher=together", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "multirun/s"
    for number in (0, 2):
        checkpoints = folder / f"{number}/checkpoints"
        (checkpoints / "final.pt").rename(checkpoints / "last.pt")
    state = torch.load(folder / "2/checkpoints/last.pt", weights_only=True)
    torch.save(state | {"fingerprints": {"data": "of others"}}, folder / "2/checkpoints/last.pt")
    done = command(*SWEEP, "study=s", "hydra/launcher=together", folder=tmp_path)
    assert done.returncode == 1 and "changed; bring those back, or train anew in another folder (" in done.stderr
    assert "trained on other contents" in (folder / "2/failure.txt").read_text()
    assert_same(folder / "0", alone / "0")


@pytest.mark.slow
def test_ranks_and_groups_compose(command, tmp_path):
    ranks = ("hardware.devices=2", "loss=nll_entropy")
    done = command(
        "-m", *COMMON, *ranks, "loss.lambda_entropy=1,3", "study=s", "hydra/launcher=together", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    alone = command(*COMMON, *ranks, "loss.lambda_entropy=3", "hydra.run.dir=alone", folder=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert_same(tmp_path / "multirun/s/1", tmp_path / "alone")
    for number in (0, 1):
        assert (tmp_path / f"multirun/s/{number}/train.log").read_text().count("epoch 2/2") == 1
