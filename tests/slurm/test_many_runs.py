"""A sweep of 500 runs on a real SLURM: composed once, submitted once, shown by one call; minutes, pytest -m slurm."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import SMALL
from tests.slurm import cluster
from tests.slurm.commands import Commands
from tests.slurm.conftest import QUEUED, Sweep

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

RUNS, RUN_HERE = 500, 8
OF_THE_SWEEP_ITSELF = 2  # compositions by Hydra that have the words of no job
TOY = ("trainer.epochs=1", "loss.every=2", "hardware=cpu", "study=many")
WORDS = (*QUEUED, *TOY, f"seed={','.join(map(str, range(RUNS)))}")


class Many:
    """The sweep as it was submitted, whose client was then killed, with what counts compositions and calls."""

    def __init__(self, submit, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        squeue = shutil.which("squeue")
        self.commands = Commands(folder / "bin", monkeypatch)
        self.commands.say("squeue")
        script = self.commands.folder / "squeue"
        script.write_text(script.read_text().partition("printf")[0] + f'exec {squeue} "$@"\n')
        self.counted = folder / "compositions"
        self._submit = submit
        self._more = {"COMPOSITIONS": str(self.counted), "PATH": os.environ["PATH"]}
        self.sweep: Sweep = submit(*WORDS, more=self._more)

    def again(self) -> Sweep:
        """Give the same command again."""
        return self._submit(*WORDS, folder=self.sweep.folder, more=self._more)

    @property
    def compositions(self) -> int:
        return self.counted.stat().st_size

    def queued(self) -> list[str]:
        """The ids of all jobs of the study that wait, as SLURM itself says."""
        shown = self.sweep.slurm("squeue", "--me", "-h", "-r", "-t", "pending", "-n", "entreg-many", "-o", "%i")
        return shown.split()


@pytest.fixture(scope="module")
def many(slurm, submit, tmp_path_factory) -> Iterator[Many]:
    with cluster.large_arrays(slurm), pytest.MonkeyPatch.context() as monkeypatch:
        yield Many(submit, tmp_path_factory.mktemp("many"), monkeypatch)


@pytest.fixture(scope="module")
def at_home(command, tmp_path_factory) -> Path:
    """The folder of the first runs, trained without SLURM."""
    folder = tmp_path_factory.mktemp("home")
    words = ("-m", *SMALL, *TOY, "hardware.cpus=1", f"seed={','.join(map(str, range(RUN_HERE)))}")
    done = command(*words, "hydra/launcher=together", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "multirun/many"


def test_each_config_is_composed_once_and_all_jobs_are_one_array(many, at_home):
    """While the client composes, the first runs are trained at home."""
    array, _, _ = many.sweep.job(RUNS - 1, 400).partition("_")
    assert many.compositions == OF_THE_SWEEP_ITSELF + RUNS
    assert sorted(many.queued()) == sorted(f"{array}_{number}" for number in range(RUNS))


def test_a_killed_client_leaves_all_jobs_and_their_status_is_one_call(many):
    many.sweep.client.send_signal(signal.SIGKILL)
    many.sweep.client.wait()
    before = len(many.commands.calls("squeue"))
    code, shown = many.sweep.answer("status")
    assert code == 3 and f"{RUNS} runs: {RUNS} queued" in shown, shown
    assert len(many.commands.calls("squeue")) == before + 1


def test_runs_end_with_the_bits_of_those_that_are_trained_at_home(many, at_home):
    """Eight jobs may begin; each was handed its config and composes none."""
    for run in range(RUN_HERE):
        many.sweep.slurm("scontrol", "update", f"JobId={many.sweep.job(run)}", "StartTime=now")
    finals = [many.sweep.folder / f"{run}/checkpoints/final.pt" for run in range(RUN_HERE)]
    cluster.wait_for(lambda: all(path.is_file() for path in finals), 300, "the jobs end")
    for run, final in enumerate(finals):
        ours, theirs = (
            torch.load(path, weights_only=True)["model"] for path in (final, at_home / f"{run}/checkpoints/final.pt")
        )
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert many.compositions == OF_THE_SWEEP_ITSELF + RUNS


def test_while_the_controller_is_killed_nobody_is_lost(many):
    cluster.wait_for(lambda: len(many.queued()) == RUNS - RUN_HERE, 60, "the jobs are gone")
    cluster.kill_controller(many.sweep.environment)
    code, shown = many.sweep.answer("status")
    assert code == 4 and f"{RUNS - RUN_HERE} unknown, {RUN_HERE} finished" in shown, shown
    cluster.start_controller(many.sweep.environment)
    code, shown = many.sweep.answer("status")
    assert code == 3 and f"{RUNS - RUN_HERE} queued, {RUN_HERE} finished" in shown, shown


def test_the_same_command_submits_nothing_twice_and_ends_when_all_are_cancelled(many):
    """A hundred are cancelled by somebody else, the others by `cancel`."""
    left = many.queued()
    again = many.again()
    said = f"{RUNS - RUN_HERE} of {RUNS - RUN_HERE} jobs are in the queue already and are not submitted again"
    lines: list[str] = []
    cluster.wait_for(lambda: lines.append(again.client.stdout.readline()) or said in lines[-1], 400, "they are named")
    assert many.compositions == 2 * (OF_THE_SWEEP_ITSELF + RUNS)
    assert sorted(many.queued()) == sorted(left)

    array = left[0].partition("_")[0]
    many.sweep.slurm("scancel", f"{array}_[{RUN_HERE}-{RUN_HERE + 99}]")
    cluster.wait_for(lambda: len(many.queued()) == RUNS - RUN_HERE - 100, 60, "a hundred are cancelled")
    code, shown = many.sweep.answer("cancel")
    assert code == 0 and f"cancelling {RUNS - RUN_HERE - 100} jobs" in shown and not many.queued()
    code, output = again.finished(200)
    assert code == 1 and "Traceback" not in output
    assert f"job {array}_{RUN_HERE}: it was cancelled" in output
    code, shown = many.sweep.answer("status")
    assert code == 1 and f"{RUNS - RUN_HERE} stopped, {RUN_HERE} finished" in shown, shown
