"""What Hydra gets for the jobs of a sweep on SLURM."""

from __future__ import annotations

import cloudpickle
import pytest
from hydra.core.utils import JobStatus
from submitit import SlurmJob

from entreg.cli.execution import JobFailed
from entreg.cli.slurm_jobs import Job, Submitted, finished_before, numbered, results_of, returned
from entreg.runs import checkpoint
from entreg.runs.folder import SweepFolder
from entreg.runs.submission import PlannedRun


@pytest.fixture
def sweep(tmp_path) -> SweepFolder:
    sweep = SweepFolder(tmp_path)
    sweep.write_jobs([PlannedRun([f"seed={seed}"], f"s{seed}") for seed in range(2)])
    return sweep


def left(folder, result) -> SlurmJob:
    """A job that has left this result."""
    job = SlurmJob(folder / "jobs", "7")
    job.paths.folder.mkdir()
    job.paths.result_pickle.write_bytes(cloudpickle.dumps(result))
    return job


def test_jobs_have_the_numbers_of_their_runs():
    assert numbered([["seed=0"], ["seed=1"]], 5) == [Job(5, ["seed=0"]), Job(6, ["seed=1"])]


def test_a_run_that_has_finished_needs_no_job(sweep):
    jobs = numbered([["seed=0"], ["seed=1"]], 0)
    assert finished_before(sweep, jobs) is None
    for run, ig_bits in enumerate((0.25, 0.5)):
        checkpoint.write(sweep.run(run).final, {"history": [{"validation_ig_bits_per_fixation": ig_bits}]})
    assert [one.return_value for one in finished_before(sweep, jobs)] == [0.25, 0.5]
    sweep.run(1).final.write_bytes(b"damaged")
    assert finished_before(sweep, jobs) is None
    sweep.jobs.unlink()  # a sweeper chooses the jobs
    assert finished_before(sweep, jobs[:1]) is None


def test_results_are_those_of_the_job_or_of_each_of_its_runs(sweep, tmp_path):
    job = Job(0, ["seed=0"])
    (result,) = results_of(sweep, Submitted(left(tmp_path, ("success", returned(job, 0.5))), [job]), None)
    assert (result.status, result.return_value) == (JobStatus.COMPLETED, 0.5)


def test_a_job_that_failed_before_its_run_began_says_why_in_a_line(sweep, tmp_path):
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1\nModuleNotFoundError: No module named torch\n'
    (result,) = results_of(sweep, Submitted(left(tmp_path, ("error", trace)), [Job(1, ["seed=1"])]), None)
    with pytest.raises(JobFailed, match="^job 7: ModuleNotFoundError: No module named torch\n"):
        _ = result.return_value
    assert sweep.run(1).state_in_words == "unfinished: ModuleNotFoundError: No module named torch"


def test_who_cancelled_a_job_knows_better_than_that_it_is_lost(sweep, tmp_path):
    sweep.run(1).write_ending("it was cancelled", "7_1")
    (result,) = results_of(sweep, Submitted(SlurmJob(tmp_path, "7_1"), [Job(1, ["seed=1"])]), "LOST")
    with pytest.raises(JobFailed, match="^job 7_1: it was cancelled\n"):
        _ = result.return_value
    assert sweep.run(1).how_ended() == "it was cancelled"
