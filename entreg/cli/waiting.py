"""Wait for submitted jobs, also where nobody says that one has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from entreg.slurm.commands import NoAnswer
from entreg.slurm.endings import Endings
from entreg.slurm.queue import QueuedJob, queue

LOOKS_EVERY_S = 1.0  # for results, which are files
MOST_PAUSE_S = 30.0  # between two calls of squeue; at first they follow each other faster


class WaitedFor(Protocol):
    """What is waited for: a job of submitit's."""

    @property
    def job_id(self) -> str:
        """SLURM's id."""

    @property
    def paths(self) -> HasResult:
        """Its files."""


class HasResult(Protocol):
    """The files of a job."""

    @property
    def result_pickle(self) -> Path:
        """The file that holds the result, once it is there."""


def wait(
    jobs: Sequence[WaitedFor],
    ask: Callable[[], Mapping[str, QueuedJob]] = queue,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, str]:
    """Wait until each job has left a result or ended without one; return the state in which the latter ended, by id.

    submitit itself would ask sacct alone, which needs a database: without one it waits for ever for a killed job.
    """
    endings, ended = Endings(), dict[str, str]()
    waiting = list(jobs)
    gap_s, next_s = 2.0, clock()
    while True:
        waiting = [job for job in waiting if not job.paths.result_pickle.exists() and job.job_id not in ended]
        if not waiting:
            return ended
        if clock() >= next_s:
            try:
                answer = ask()
            except NoAnswer:  # a controller that is away says nothing about jobs
                pass
            else:
                ended |= endings.observe(answer, [job.job_id for job in waiting], clock())
            gap_s = min(gap_s * 1.5, MOST_PAUSE_S)
            next_s = clock() + gap_s
        pause(LOOKS_EVERY_S)
