"""Several ranks: the same numbers as one, one clear error, and runs that go on where they were interrupted.

Ranks are processes that import everything anew, seconds each: a launch serves as many assertions as it can.
"""

from __future__ import annotations

import csv
import datetime
import functools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir

from entreg.cli import composition
from entreg.config.settings import resolved
from entreg.distributed import launch as launch_module
from entreg.distributed.launch import RankFailed, launch
from entreg.distributed.ranks import Ranks
from entreg.errors import NonFiniteLoss
from entreg.runs.folder import RunFolder
from tests.conftest import ROOT, SMALL
from tests.runs import broken

# an epoch has 3 steps, of 6, 6 and 3 images; with 3 uniform images, too, some slices are empty on 4 ranks. At this size
# an image has 32 cells, which fill vector registers: PyTorch rounds what is left over otherwise, and so by the batch
ROLES = ("data", "ood.synthetic_ood")
SIDES = [f"{role}.{side}_side_px={px}" for role in ROLES for side, px in (("long", 256), ("short", 128))]
WORDS = (
    *SMALL,
    *SIDES,
    "uniform.images=3",
    "trainer.epochs=2",
    "loss=nll_entropy",
    "loss.every=1",
    "hardware.kind=cpu",
)
AGGREGATIONS = {name: {"aggregation": name} for name in ("mean_entropy", "entropy_of_mean")}
TIMING = ("images_per_s", "seconds")


@pytest.fixture(scope="module")
def config_for(store):
    """config_for(devices, aggregation): the config of a run here."""
    composition.register()

    def composed(devices: int, aggregation: str = "mean_entropy"):
        words = [*WORDS, f"paths.store={store}", f"hardware.devices={devices}", f"loss.aggregation={aggregation}"]
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return resolved(compose("config", words))

    return composed


@pytest.fixture(scope="module")
def runs(command, config_for, tmp_path_factory):
    """runs(ranks): a folder with a run for either aggregation, trained when it is first asked for."""

    @functools.cache
    def folder(devices: int) -> Path:
        path = tmp_path_factory.mktemp(f"ranks{devices}")
        if devices > 1:
            temporary = tmp_path_factory.mktemp("temporary")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(tempfile, "tempdir", str(temporary))
                launch(functools.partial(broken.several, AGGREGATIONS), config_for(devices), RunFolder(path))
            assert not list(temporary.iterdir())  # torch's launcher leaves nothing behind
            return path
        words = (*WORDS, "hardware.devices=1", f"loss.aggregation={','.join(AGGREGATIONS)}")
        place = (f"hydra.sweep.dir={path}", "hydra.sweep.subdir=${loss.aggregation}")
        done = command("-m", *words, *place, folder=path)
        assert done.returncode == 0, done.stdout + done.stderr
        return path

    return folder


def steps(run: Path) -> np.ndarray:
    """(steps, 2) NLL and entropy, nats."""
    with (run / "steps.csv").open() as file:
        return np.array([[float(row["nll_nats"]), float(row["bias_entropy_nats"])] for row in csv.DictReader(file)])


def history(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in TIMING} for row in csv.DictReader(file)]


def saved(run: Path, name: str = "last") -> dict:
    return torch.load(run / f"checkpoints/{name}.pt", weights_only=True)


def parameters(run: Path) -> dict[str, torch.Tensor]:
    return saved(run, "final")["model"]


def assert_same_to_the_bit(run: Path, undisturbed: Path) -> None:
    expected = parameters(undisturbed)
    assert all(torch.equal(value, expected[name]) for name, value in parameters(run).items())
    assert history(run) == history(undisturbed)
    assert (run / "steps.csv").read_text() == (undisturbed / "steps.csv").read_text()


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_numbers_do_not_depend_on_how_many_ranks_compute_them(runs, devices, aggregation):
    one, several = runs(1) / aggregation, runs(devices) / aggregation
    assert steps(one).shape == (6, 2)
    assert steps(several) == pytest.approx(steps(one), rel=1e-6)
    for name, expected in parameters(one).items():
        torch.testing.assert_close(parameters(several)[name], expected, rtol=1e-5, atol=1e-5, msg=name)
    for row, expected in zip(history(several), history(one), strict=True):
        numbers = {k: float(v) for k, v in expected.items()}
        assert {k: float(v) for k, v in row.items()} == pytest.approx(numbers, rel=1e-5, abs=1e-5)


def test_both_aggregations_are_different_trainings(runs):
    """Else the test above would compare one thing twice."""
    assert not np.allclose(steps(runs(1) / "mean_entropy")[:, 1], steps(runs(1) / "entropy_of_mean")[:, 1], rtol=1e-5)


def test_every_item_is_one_ranks_and_shares_may_be_empty():
    shares = [Ranks(rank, 4).shard(range(6)) for rank in range(4)]
    assert [list(share) for share in shares] == [[0, 4], [1, 5], [2], [3]]
    assert [list(Ranks(rank, 4).shard(range(2))) for rank in range(4)] == [[0], [1], [], []]


@pytest.mark.slow
def test_a_killed_and_a_warned_run_end_as_if_nothing_had_happened(runs, config_for, tmp_path):
    """Killed in the second epoch without a word, which loses that epoch; or warned by USR2, of which one rank hears."""
    killed, warned = tmp_path / "mean_entropy", tmp_path / "entropy_of_mean"
    kill = functools.partial(broken.at_step, 4, 0, functools.partial(broken.signal_itself, signal.SIGKILL))
    warn = functools.partial(broken.at_step, 4, 1, functools.partial(broken.signal_itself, signal.SIGUSR2))
    for folder in (killed, warned):
        folder.mkdir()

    with pytest.raises(RankFailed, match=r"rank 0 ended .*SIGKILL"):
        launch(kill, config_for(2, "mean_entropy"), RunFolder(killed))
    assert saved(killed)["step"] == 3
    assert launch(warn, config_for(2, "entropy_of_mean"), RunFolder(warned)) is None
    assert saved(warned)["step"] == 5  # the step in which the signal came is still done

    launch(functools.partial(broken.several, AGGREGATIONS), config_for(2), RunFolder(tmp_path))
    assert_same_to_the_bit(killed, runs(2) / "mean_entropy")
    assert_same_to_the_bit(warned, runs(2) / "entropy_of_mean")


@pytest.mark.slow
def test_ranks_agree_to_stop_on_a_loss_that_is_not_finite(runs, config_for, tmp_path):
    with pytest.raises(NonFiniteLoss) as caught:
        launch(functools.partial(broken.at_step, 4, 1, broken.spoil_parameters), config_for(2), RunFolder(tmp_path))
    message = str(caught.value)
    assert re.match(r"the loss is not finite in epoch 2, batch 2 \(step 4\): images \d{4}\.png", message)
    assert message.endswith(f"the last good state is in {tmp_path / 'checkpoints/last.pt'}")
    last = saved(tmp_path)
    assert last["step"] == 3 and all(value.isfinite().all() for value in last["model"].values())


def test_a_failing_rank_ends_the_run_with_its_number_and_traceback(command, tmp_path):
    done = command(
        *WORDS,
        "hardware.devices=2",
        "task.name=fail_on_last_rank",
        "hydra.run.dir=run",
        folder=tmp_path,
        more_path=[broken.TASKS],
    )
    assert done.returncode == 1
    assert "rank 1 failed:\nTraceback" in done.stderr and "ValueError: this rank broke" in done.stderr
    assert str(tmp_path / "run/train.log") in done.stderr
    assert "ChildFailedError" not in done.stderr
    assert "ValueError: this rank broke" in (tmp_path / "run/train.log").read_text()
    assert (tmp_path / "run/failure.txt").read_text().strip().endswith("ValueError: this rank broke")
    # what was typed is left behind although ranks do not know it, and a failed run's folder says it too
    typed = yaml.safe_load((tmp_path / "run/.hydra/overrides.yaml").read_text())
    assert typed[:-1] == [*WORDS, "hardware.devices=2", "task.name=fail_on_last_rank"]
    hydra = yaml.safe_load((tmp_path / "run/.hydra/hydra.yaml").read_text())["hydra"]
    assert hydra["overrides"]["task"] == typed and hydra["runtime"]["output_dir"] == str(tmp_path / "run")


@pytest.mark.slow
def test_an_outer_torchrun_gives_one_run_with_the_same_numbers(runs, store, tmp_path):
    done = subprocess.run(
        (
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            "2",
            str(ROOT / "train.py"),
            *WORDS,
            f"paths.store={store}",
        ),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "outputs").iterdir()
    assert steps(run) == pytest.approx(steps(runs(1) / "mean_entropy"), rel=1e-6)
    epochs = [line for line in (run / "train.log").read_text().splitlines() if "epoch 2/2" in line]
    assert len(epochs) == 1 and done.stdout.count("epoch 2/2") == 1


def meet_alone(folder: Path) -> None:
    """One rank of two, whose other one never comes; in a process of its own, since it cannot be joined twice."""
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "0",
    }
    launch_module.MEETING = datetime.timedelta(seconds=3)
    started = time.monotonic()
    try:
        launch_module._initialise()
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    else:
        said = "met"
    (folder / "said.txt").write_text(f"{time.monotonic() - started:.1f}\n{said}")


@pytest.mark.slow
def test_a_rank_whose_other_never_comes_gives_up_after_the_time_for_meeting(tmp_path):
    """The short limit is in force, and not the one of half an hour that torch takes by itself."""
    process = multiprocessing.get_context("spawn").Process(target=meet_alone, args=(tmp_path,))
    process.start()
    process.join(60)
    process.kill()
    assert process.exitcode == 0
    seconds, said = (tmp_path / "said.txt").read_text().split("\n", 1)
    assert 2 <= float(seconds) < 30
    # PyTorch 2.0 says no more than the second
    assert re.match(r"\w+Error: .*(Timed out|timed out|timeout).*1/2 clients joined|RuntimeError: Socket Timeout", said)
