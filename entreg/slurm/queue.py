"""The jobs of this user that SLURM still remembers, by one call of squeue.

SLURM forgets a job a few minutes after its end (MinJobAge). A job that is not in the answer has therefore ended or was
never there: only what a run left in its folder tells which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from entreg.slurm.commands import answer_of

# the states of a job that will not go on by itself; all others, also those of later versions, count as active
ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}


class QueuedJob(NamedTuple):
    """A job that SLURM remembers.

    reason: why it waits; node: where it runs, or ran
    """

    state: str
    reason: str
    node: str

    @property
    def is_active(self) -> bool:
        """Whether the job waits, runs or is about to end."""
        return self.state not in ENDED

    @property
    def is_waiting(self) -> bool:
        """Whether the job has yet to start, for the first time or again."""
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")


def queue() -> dict[str, QueuedJob]:
    """Return the jobs of this user by id: `12` or, for a task of an array, `12_3`. Raises NoAnswer.

    Names and comments of jobs are not asked for, since they may contain whatever separates the fields.
    """
    # -r: a line for each task of an array that waits; -t all: ended jobs, too
    said = answer_of("squeue", "--me", "-h", "-r", "-t", "all", "-o", "%i|%T|%r|%N")
    jobs = {}
    for line in said.splitlines():
        job, *about = line.split("|")
        if re.fullmatch(r"\d+(_\d+)?", job) and len(about) == 3:
            jobs[job] = QueuedJob(*about)
    return jobs


def active(ids: Sequence[str]) -> list[str]:
    """Return those of the jobs that wait, run or are about to end, in their order. Raises NoAnswer."""
    jobs = queue() if ids else {}
    return [job for job in ids if job in jobs and jobs[job].is_active]


def found(jobs: Mapping[str, QueuedJob], job: str) -> QueuedJob | None:
    """Return what SLURM knows of a job, or None where it does not know it.

    Of an array whose waiting tasks were all cancelled one by one SLURM keeps a single record without their numbers.
    """
    return jobs.get(job) or jobs.get(job.partition("_")[0])


def marked(mark: str) -> list[str]:
    """Return the ids of the jobs whose comment is `mark`, arrays by their own id. Raises NoAnswer."""
    said = answer_of("squeue", "--me", "-h", "-t", "all", "-o", "%F %k")
    return list(dict.fromkeys(re.findall(rf"^(\d+) {re.escape(mark)}$", said, re.MULTILINE)))
