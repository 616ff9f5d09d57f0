"""How jobs ended that have left no result, judged from repeated answers of squeue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from entreg.slurm.queue import QueuedJob, found

ENDED_AFTER_S = 15.0  # a network file system may show a result so much later than SLURM shows the end
LOST_AFTER_S = 60.0
LOST = "LOST"  # a state of our own: SLURM no longer knows the job, and it left no outcome

MEANING = {
    "BOOT_FAIL": "its node did not start",
    "CANCELLED": "it was cancelled",
    "COMPLETED": "it left no result",
    "DEADLINE": "it could not end before its deadline",
    "FAILED": "it failed",
    LOST: "it is lost: SLURM no longer knows it, and it left no outcome",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "it needed more memory than it had asked for (hardware.memory_gb)",
    "PREEMPTED": "another job took its place, and this partition cancels such jobs instead of requeueing them",
    "REVOKED": "another cluster took it over",
    "TIMEOUT": "it ran into its time limit (hardware.timeout_min)",
}


class Endings:
    """Which jobs have ended: an ended state counts after ENDED_AFTER_S, absence from the queue after LOST_AFTER_S.

    Only answers count: while SLURM is silent nobody calls `observe`, and no job is lost.
    """

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}

    def observe(self, queue: Mapping[str, QueuedJob], jobs: Iterable[str], now_s: float) -> dict[str, str]:
        """Return the state in which each job has ended that has ended.

        queue: an answer of squeue; jobs: those without a result; now_s: when it was asked, by a steady clock
        """
        ended = {}
        for job in jobs:
            known = found(queue, job)
            if known is not None and known.is_active:
                self._since.pop(job, None)
                continue
            state, since_s = self._since.get(job, (LOST, now_s))
            if known is not None:  # SLURM forgets a job soon after its end: its last state stays known here
                state = known.state
            self._since[job] = state, since_s
            if now_s - since_s >= (LOST_AFTER_S if state == LOST else ENDED_AFTER_S):
                ended[job] = state
        return ended
