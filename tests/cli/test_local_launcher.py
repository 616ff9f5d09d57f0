"""The jobs of a sweep as processes of this machine; tests/cli/test_execution.py runs one."""

from __future__ import annotations

import threading

import pytest
from submitit import AutoExecutor

from entreg.cli import local_launcher
from entreg.cli.local_launcher import Local

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run

SWEEP = [[f"seed={seed}"] for seed in range(6)]


@pytest.mark.parametrize("words, at_once", [(["hydra.launcher.parallelism=2"], 2), ([], 6)])
def test_not_more_jobs_run_at_once_than_are_allowed(launcher_of, monkeypatch, words, at_once):
    """A job ends as soon as so many run: fewer would wait in vain, more are counted."""
    together, running, most = threading.Barrier(at_once), [], []

    def results(sweep, submitted, ended):
        running.append(submitted)
        most.append(len(running))
        together.wait(30)
        running.remove(submitted)
        return [submitted.jobs]

    monkeypatch.setattr(AutoExecutor, "submit", lambda self, function, *arguments: arguments)
    monkeypatch.setattr(local_launcher, "results_of", results)
    launcher = launcher_of("submitit_local", *words)
    assert isinstance(launcher, Local)
    assert [job.overrides for (job,) in launcher.launch(SWEEP, 0)] == SWEEP
    assert max(most) == at_once
