"""Cancelling a sweep's jobs."""

from __future__ import annotations

import pytest

from entreg.cli.cancel import active_jobs, cancel
from entreg.errors import UserError
from entreg.runs import checkpoint
from entreg.runs.folder import SweepFolder
from entreg.runs.submission import PlannedRun, Submission

QUEUE = "7_0|RUNNING|None|n\n7_1|PENDING|Priority|\n7_2|COMPLETED|None|n\n9|RUNNING|None|n\n"


@pytest.fixture
def sweep(tmp_path) -> SweepFolder:
    sweep = SweepFolder(tmp_path)
    sweep.write_jobs([PlannedRun([f"seed={seed}"], f"s{seed}") for seed in range(3)])
    sweep.add_submission(Submission("7", [[0], [1], [2]]))
    return sweep


def test_jobs_that_wait_or_run_are_cancelled_and_their_runs_say_so(sweep, commands):
    """A job of another sweep is left alone. The first look finds one job still there."""
    commands.say("squeue", QUEUE)
    commands.say("scancel")
    assert active_jobs(sweep) == ["7_0", "7_1"]
    cancel(sweep, ["7_0", "7_1"], lambda seconds: commands.say("squeue", "7_2|COMPLETED|None|n\n"))
    assert commands.calls("scancel") == ["7_0 7_1"]
    assert [sweep.run(run).how_ended() for run in range(3)] == ["it was cancelled", "it was cancelled", ""]


def test_a_job_whose_run_has_finished_is_none_although_slurm_believes_that_it_runs(sweep, commands):
    checkpoint.write(sweep.run(0).final, {})
    commands.say("squeue", QUEUE)
    assert active_jobs(sweep) == ["7_1"]


def test_jobs_that_stay_are_named(sweep, commands):
    commands.say("squeue", QUEUE)
    commands.say("scancel")
    with pytest.raises(UserError, match="^still there after 60 s: 7_0 7_1; "):
        cancel(sweep, ["7_0", "7_1"], lambda seconds: None)
    assert sweep.run(0).how_ended() == ""


def test_a_sweep_that_was_never_submitted_has_no_jobs(tmp_path, commands):
    assert active_jobs(SweepFolder(tmp_path)) == [] and not commands.calls("squeue")


def test_the_evaluation_that_waits_for_the_runs_is_cancelled_in_the_same_call(sweep, commands):
    """Else it would start as soon as they are gone."""
    sweep.add_submission(Submission("8", [[]]))
    commands.say("squeue", QUEUE + "8|PENDING|Dependency|\n")
    commands.say("scancel")
    cancel(sweep, active_jobs(sweep), lambda seconds: commands.say("squeue", ""))
    assert commands.calls("scancel") == ["7_0 7_1 8"]
