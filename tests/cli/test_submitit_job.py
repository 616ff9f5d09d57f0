"""What runs in a submitted job; that it composes nothing is held by test_composed_once.py."""

from __future__ import annotations

import pytest
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

from entreg.cli.slurm_jobs import Job

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run


def test_the_log_says_which_run_it_is_of(launcher_of, monkeypatch, capsys):
    monkeypatch.setattr(BaseSubmititLauncher, "__call__", lambda self, *_: "done")
    launcher = launcher_of("submitit_slurm")
    ((jobs, *others),) = launcher.arguments_of([[Job(7, ["seed=3", "hydra.sweep.subdir=x"])]])
    assert launcher(jobs, *others) == "done"
    assert capsys.readouterr().out == "run 7: seed=3\n"
