"""Cancel the jobs of a sweep: those that wait or run, by their ids, looked at again until they are gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from entreg.errors import UserError
from entreg.runs.folder import SweepFolder
from entreg.slurm.commands import answer_of
from entreg.slurm.endings import MEANING
from entreg.slurm.queue import active

PATIENCE_S = 60.0  # a job under submitit takes up to 40 s to end
LOOKS_EVERY_S = 1.0


def active_jobs(sweep: SweepFolder) -> list[str]:
    """Return the ids of the sweep's jobs that wait or run. Raises NoAnswer where SLURM does not answer.

    Jobs whose runs have finished, as their folders say, are none: they end by themselves, and a controller that was
    started anew believes for a while that they run.
    """
    tasks = [task for submission in sweep.submissions() for task in submission.tasks()]
    return active([job for job, runs in tasks if not runs or not all(sweep.run(run).is_finished for run in runs)])


def cancel(sweep: SweepFolder, jobs: list[str], pause: Callable[[float], None] = time.sleep) -> None:
    """Cancel these jobs of the sweep, wait until they are gone, and record that in the folders of their runs.

    SLURM keeps no trace of a task of an array that was cancelled while it waited. Raises a UserError that names the
    jobs that are still there after PATIENCE_S.
    """
    answer_of("scancel", *jobs)  # in one call: a job that waits for others would start at their end
    for _ in range(int(PATIENCE_S / LOOKS_EVERY_S)):
        left = [job for job in active_jobs(sweep) if job in jobs]
        if not left:
            break
        pause(LOOKS_EVERY_S)
    for run, job in sweep.job_ids().items():
        folder = sweep.run(run)
        if job in jobs and job not in left and not folder.is_finished:
            folder.write_ending(MEANING["CANCELLED"], job)
    if left:
        raise UserError(f"still there after {PATIENCE_S:.0f} s: {' '.join(left)}; look again with `squeue --me`")
