"""The cluster of this test session, and sweeps on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from entreg.runs.folder import SweepFolder
from tests.conftest import ROOT, SMALL
from tests.runs import broken
from tests.slurm import cluster
from tests.slurm.commands import Commands

EPOCHS = 5
# 4 ranks a run; tests that meet a run in the middle let it wait there
WORDS = (*SMALL, f"trainer.epochs={EPOCHS}", "loss.every=2", "hardware=cpu4", "hardware.memory_gb=2")
# a job that waits in the queue for as long as the tests take: what is asked of the queue alone needs no job that runs
QUEUED = ("+hydra.launcher.additional_parameters.begin=now+1hour", "hardware=cpu", "hardware.cpus=1")


@pytest.fixture
def commands(tmp_path, monkeypatch) -> Commands:
    """Stand-ins for SLURM's commands."""
    return Commands(tmp_path / "bin", monkeypatch)


@pytest.fixture(scope="session")
def slurm():
    """Environment variables of a running SLURM."""
    reason = cluster.missing()
    if reason:
        pytest.skip(f"no SLURM can be started: {reason}")
    with cluster.cluster() as environment:
        yield environment


@dataclass(frozen=True, eq=False)
class Sweep:
    """A sweep whose client was started."""

    client: subprocess.Popen
    folder: Path
    environment: dict[str, str]

    def finished(self, timeout_s: float = 600) -> tuple[int, str]:
        """Waits; exit code and output."""
        output, _ = self.client.communicate(timeout=timeout_s)
        return self.client.returncode, output

    def job(self, run: int) -> str:
        """SLURM's name of a run's job, as soon as it was submitted."""
        record = SweepFolder(self.folder)
        cluster.wait_for(lambda: self.client.poll() is not None or run in record.job_ids(), 120, "sbatch answers")
        return record.job_ids()[run]

    def shown(self, run: int) -> dict[str, str]:
        """What the controller knows of a run's job: JobState, Restarts, ExitCode, ..."""
        shown = self.slurm("scontrol", "--oneliner", "show", "job", self.job(run))
        return dict(re.findall(r"(\w+)=(\S*)", shown))

    def reaches(self, run: int, state: str) -> None:
        """Waits until a run's job is in this state."""
        cluster.wait_for(lambda: self.shown(run)["JobState"] == state, 120, f"the job is {state}")

    def ended(self, run: int) -> dict[str, str]:
        """The same of a job whose result is there: it runs on for a moment."""
        cluster.wait_for(lambda: self.shown(run)["JobState"] not in ("RUNNING", "COMPLETING"), 30, "the job ends")
        return self.shown(run)

    def slurm(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout

    def answer(self, command: str, *words: str) -> tuple[int, str]:
        """Perform `status` or `cancel` on this sweep; the exit code and the output."""
        typed = (sys.executable, "train.py", command, f"runs={self.folder}", *words)
        done = subprocess.run(typed, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=100)
        return done.returncode, done.stdout + done.stderr

    def waits(self, run: int) -> bool:
        """Whether a run of a waiting task has come to where it waits."""
        return (self.folder / f"{run}/waits").exists()


@pytest.fixture(scope="session")
def submit(slurm, store, tmp_path_factory):
    """submit(*words): starts the client of a sweep on the cluster, as somebody in the project's root would.

    more: environment variables
    """
    clients = []

    def start(
        *words: str, folder: Path | None = None, launcher: str = "submitit_slurm", more: Mapping[str, str] | None = None
    ) -> Sweep:
        folder = folder or tmp_path_factory.mktemp("sweep")
        # sbatch hands it on to the jobs
        environment = (
            slurm | dict(more or {}) | {"PYTHONPATH": f"{broken.TASKS}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        )
        client = subprocess.Popen(
            (
                sys.executable,
                "train.py",
                "-m",
                *WORDS,
                f"hydra/launcher={launcher}",
                f"paths.store={store}",
                f"hydra.sweep.dir={folder}",
                *words,
            ),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        clients.append(client)
        return Sweep(client, folder, environment)

    yield start
    for client in clients:
        if client.poll() is None:
            client.kill()
