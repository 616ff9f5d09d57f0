"""All runs of a sweep of 500 on a real SLURM, 25 in each job; many minutes, make test-slow."""

from __future__ import annotations

import pytest
import torch

from entreg.runs.folder import State, SweepFolder
from tests.conftest import SMALL

RUNS, IN_A_JOB = 500, 25
TOY = ("trainer.epochs=1", "loss.every=2", "trainer.order_seed=0", "hardware=cpu", "hardware.cpus=2", "study=all")


@pytest.mark.slow
def test_all_runs_end_with_the_bits_of_those_that_are_trained_at_home(submit, command, tmp_path):
    seeds = f"seed={','.join(map(str, range(RUNS)))}"
    sweep = submit(*TOY, seeds, f"hydra.launcher.runs_per_job={IN_A_JOB}", launcher="together_slurm")
    code, output = sweep.finished(7200)
    assert code == 0, output[-3000:]
    done = command("-m", *SMALL, *TOY, seeds, "hydra/launcher=together", folder=tmp_path, timeout_s=7200)
    assert done.returncode == 0, done.stderr[-3000:]
    for run in range(RUNS):
        there, here = SweepFolder(sweep.folder).run(run), SweepFolder(tmp_path / "multirun/all").run(run)
        assert there.state is State.FINISHED
        ours, theirs = (torch.load(folder.final, weights_only=True)["model"] for folder in (there, here))
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
