"""The jobs of a sweep on SLURM, and the results that Hydra gets of them, also of those that left none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from submitit import Job as SlurmTask
from submitit.core.utils import FailedJobError

from entreg.cli.execution import JobFailed
from entreg.errors import UserError
from entreg.runs.folder import RunFolder, SweepFolder
from entreg.runs.records import reason
from entreg.slurm.endings import LOST, MEANING


class Job(NamedTuple):
    """A job of the sweep: its number and the words that were typed for it."""

    number: int
    overrides: list[str]


class Submitted(NamedTuple):
    """A job of SLURM and the jobs of the sweep that it runs; the evaluation of a sweep is none of them."""

    slurm: SlurmTask[Any]
    jobs: list[Job]
    is_evaluation: bool = False


def numbered(job_overrides: Sequence[Sequence[str]], first: int) -> list[Job]:
    """Return the jobs with their numbers, which begin with `first`."""
    return [Job(first + i, list(overrides)) for i, overrides in enumerate(job_overrides)]


def finished_before(sweep: SweepFolder, jobs: list[Job]) -> list[JobReturn] | None:
    """Return the results of jobs that all belong to finished trainings, so that none is submitted; else None.

    None, too, where a sweeper chooses the jobs one after the other, since its numbers may mean other words today.
    """
    if not sweep.jobs.is_file():
        return None
    returns = []
    for job in jobs:
        folder = sweep.run(job.number)
        try:
            ig_bits = folder.last_ig_bits()
        except UserError:  # the checkpoint is damaged: the job sets it aside and trains again
            return None
        if ig_bits is None:
            return None
        returns.append(returned(job, ig_bits))
    return returns


def returned(job: Job, value: Any) -> JobReturn:
    """Return the result of a job that has succeeded, or an exception that has ended it, as Hydra takes it."""
    status = JobStatus.FAILED if isinstance(value, Exception) else JobStatus.COMPLETED
    return JobReturn(job.overrides, None, None, str(Path.cwd()), None, status, value)


def results_of(sweep: SweepFolder, submitted: Submitted, ended: str | None) -> list[JobReturn]:
    """Return the results of a job of SLURM.

    ended: the state in which it ended without a result, None where it left one
    """
    why = None
    if ended is None:
        try:
            result = submitted.slurm.results()[0]
            return result if isinstance(result, list) else [result]
        except FailedJobError as error:
            why = reason(str(error).partition("\n---")[2].rpartition("\n---")[0]).strip() or str(error)
    job = submitted.slurm.job_id
    why = why or MEANING.get(str(ended), f"SLURM says {ended}")
    returns = []
    for one in submitted.jobs:
        folder: RunFolder = sweep.evaluation if submitted.is_evaluation else sweep.run(one.number)
        if ended == LOST:  # somebody who cancelled it may have written so
            why = folder.how_ended() or why
        if not folder.is_finished:
            folder.write_ending(why, job)
        message = (
            f"job {job}: {why}\n(run {folder}, log {submitted.slurm.paths.stderr}; the same command goes on with it)"
        )
        returns.append(returned(one, JobFailed(message)))
    return returns
