"""What goes wrong on the SLURMs that people have: this one has no accounting, JobRequeue=0 and MaxArraySize=4.

Minutes; pytest -m slurm. What is asked of the queue alone is asked of jobs that wait there and never run.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.slurm.cluster import wait_for
from tests.slurm.conftest import QUEUED

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ONE = ("hardware=cpu", "hardware.cpus=1", "trainer.epochs=1")


def test_a_signal_in_a_jobs_first_seconds_waits_and_the_job_is_requeued(submit):
    """The signal comes as soon as the job's Python is there, seconds before submitit has been imported."""
    sweep = submit(*ONE)
    words = ["-u", "-m", "submitit.core._submit", str(sweep.folder / ".submitit")]
    wait_for(lambda: words in [arguments[1:5] for arguments in command_lines()], 120, "the job's Python is there")
    sweep.slurm("scancel", "--signal=USR2", sweep.job(0))
    code, output = sweep.finished()
    assert code == 0, output
    assert int(sweep.ended(0)["Restarts"]) == 1 and sweep.shown(0)["JobState"] == "COMPLETED"
    assert (sweep.folder / "0/checkpoints/final.pt").is_file()


def command_lines() -> Iterator[list[str]]:
    """The words of every process of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            yield path.read_bytes().decode(errors="replace").split("\0")


def test_a_client_that_is_ended_leaves_its_jobs_and_another_waits_for_them(submit):
    """Five jobs are two arrays here. Ctrl-C ends the client alone; the same command submits nothing a second time."""
    words = (*QUEUED, "seed=0,1,2,3,4", "study=again")
    sweep = submit(*words)
    jobs = [sweep.job(run) for run in range(5)]
    first, second = jobs[0].partition("_")[0], jobs[4]
    assert jobs == [f"{first}_0", f"{first}_1", f"{first}_2", f"{first}_3", second]
    sweep.client.send_signal(signal.SIGINT)
    code, output = sweep.finished()
    assert code == 130 and "Traceback" not in output
    assert f"The jobs go on. Look at them with `python train.py status runs={sweep.folder}`" in output

    again = submit(*words, folder=sweep.folder)
    said = f"5 of 5 jobs are in the queue already and are not submitted again: {' '.join(jobs)}"
    lines = []
    wait_for(lambda: lines.append(again.client.stdout.readline()) or said in lines[-1], 120, "the jobs are named")
    assert again.slurm("squeue", "--me", "-h", "-r", "-n", "entreg-again", "-o", "%i").split() == jobs
    code, shown = again.answer("status")
    assert code == 3 and "5 runs: 5 queued" in shown
    code, shown = again.answer("cancel")
    assert code == 0 and f"cancelling 5 jobs of {sweep.folder}: {' '.join(jobs)}\nthey are gone" in shown
    code, shown = again.answer("status")
    assert code == 1 and "5 runs: 5 stopped" in shown and f"hydra.sweep.dir={sweep.folder}" in shown
    code, output = again.finished(60)  # nobody but squeue says that they have ended
    assert code == 1 and "Traceback" not in output
    assert f"job {jobs[0]}: it was cancelled" in output
    assert output.count("unfinished: it was cancelled") == 5


def test_where_preempted_jobs_are_cancelled_the_client_says_so_and_ends(submit):
    sweep = submit(
        *ONE, "task.name=wait_in_training", "hardware.partition=spot", "hardware.timeout_min=30", "hardware.gpus=4"
    )
    sweep.reaches(0, "RUNNING")
    sweep.slurm("sbatch", "--partition=high", "--gpus-per-node=4", "--wrap=sleep 1", "--output=/dev/null")
    code, output = sweep.finished(120)
    assert code == 1 and "Traceback" not in output
    assert f"job {sweep.job(0)}: another job took its place, and this partition cancels such jobs" in output


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["hardware.partition=nowhere"],
            "Invalid partition name specified\n  ask for something else   hardware.partition=",
        ),
        (["hydra.launcher.gres=gpu:a100:9"], "SLURM refuses the jobs: Batch job submission failed: "),
        (
            ["hardware.partition=spot", "hardware.timeout_min=61"],
            "hardware.timeout_min=61 is above the limit of the partition spot, 60 minutes",
        ),
        (["hardware.timeout_min=3"], "hardware.timeout_min=3: a job of 180 s is asked to stop 120 to 150 s before"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_slurm_refuses_or_would_never_start_is_said_at_once(submit, words, said):
    sweep = submit(*ONE, *words)
    code, output = sweep.finished()
    assert code == 2 and said in output and "Traceback" not in output
