"""Sweeps that are only planned, that are submitted and left, and that SLURM forgets; minutes, pytest -m slurm."""

from __future__ import annotations

import json

import pytest

from entreg.runs.folder import SweepFolder
from tests.slurm import cluster
from tests.slurm.conftest import QUEUED

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

WORDS = (*QUEUED, "seed=0,1", "study=left")


@pytest.fixture(scope="module")
def detached(submit):
    """A sweep of two jobs that wait in the queue, whose client has ended."""
    sweep = submit(*WORDS, "sweep.detach=true")
    return sweep, *sweep.finished()


def test_a_dry_run_submits_nothing(submit, tmp_path):
    sweep = submit(*QUEUED, "seed=0,1", "study=dry", "sweep.dry_run=true", folder=tmp_path / "dry")
    code, output = sweep.finished()
    assert code == 0 and f"2 jobs of train in {sweep.folder}; nothing was started\n  0: seed=0\n  1: seed=1\n" in output
    assert "#SBATCH --job-name=entreg-dry\n" in output and "#SBATCH --array=0-1%2\n" in output
    assert not sweep.folder.exists()
    assert sweep.slurm("squeue", "--me", "-h", "-t", "all", "-n", "entreg-dry", "-o", "%i") == ""


def test_a_detached_client_ends_while_its_jobs_wait(detached):
    sweep, code, output = detached
    assert code == 0, output
    jobs = SweepFolder(sweep.folder).job_ids()
    assert sweep.slurm("squeue", "--me", "-h", "-r", "-n", "entreg-left", "-o", "%i %T").split("\n")[:2] == [
        f"{jobs[0]} PENDING",
        f"{jobs[1]} PENDING",
    ]
    assert f"submitted 2 jobs: {jobs[0].partition('_')[0]}" in output
    assert f"Look at them with `python train.py status runs={sweep.folder}`" in output
    code, shown = sweep.answer("status")
    assert code == 3 and "2 runs: 2 queued" in shown


def test_jobs_that_slurm_has_forgotten_are_lost_after_a_minute(detached, submit):
    """A controller that starts without its state knows no job; another client was waiting for them."""
    sweep = submit(*WORDS, folder=detached[0].folder)
    said, lines = "2 of 2 jobs are in the queue already and are not submitted again", [""]
    cluster.wait_for(lambda: lines.append(sweep.client.stdout.readline()) or said in lines[-1], 120, "they are named")
    job = sweep.job(0)
    cluster.kill_controller(sweep.environment)
    cluster.start_controller(sweep.environment, forgets=True)
    code, shown = sweep.answer("status")
    assert code == 1 and "2 runs: 2 lost" in shown
    code, output = sweep.finished(200)
    assert code == 1 and "Traceback" not in output
    assert f"job {job}: it is lost: SLURM no longer knows it, and it left no outcome" in output


def test_an_evaluation_that_overtakes_a_run_submits_itself_once_more(submit):
    """It starts while the run waits in the queue, as it would if a job that was requeued counted as ended."""
    sweep = submit(*QUEUED, "study=overtaken", "sweep.evaluate=true", "sweep.detach=true")
    code, output = sweep.finished()
    assert code == 0, output
    record, run = SweepFolder(sweep.folder), sweep.job(0)

    def start(job: str) -> None:
        sweep.slurm("scontrol", "update", f"JobId={job}", "StartTime=now")

    (first,) = record.evaluations()
    sweep.slurm("scontrol", "update", f"JobId={first}", "Dependency=")
    start(first)
    cluster.wait_for(lambda: len(record.evaluations()) == 2, 120, "the evaluation has submitted itself")
    second = record.evaluations()[1]
    assert f"#SBATCH --dependency=afterany:{run}\n" in (sweep.folder / f".submitit/{second}_submission.sh").read_text()
    said, log = f"these jobs go on: {run}; the evaluation {second} waits for them", f".submitit/{first}_0_log.out"
    cluster.wait_for(lambda: said in (sweep.folder / log).read_text(), 30, "it says so")
    assert not (sweep.folder / "evaluation").exists()

    start(run)
    start(second)
    results = sweep.folder / "evaluation/results.json"
    cluster.wait_for(results.is_file, 200, "the second evaluation ends", sweep.folder / f".submitit/{second}_0_log.out")
    assert not json.loads(results.read_text())["left_out"] and len(record.evaluations()) == 2
