"""Waiting for jobs with a clock of the test's own: nobody says that a job was killed, and the wait ends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from entreg.cli.waiting import wait
from entreg.slurm.commands import NoAnswer
from entreg.slurm.endings import LOST
from entreg.slurm.queue import QueuedJob


class Time:
    """A clock that `pause` moves on. At given seconds something happens."""

    def __init__(self, events=None):
        self.now_s, self.events = 0.0, dict(events or {})

    def clock(self):
        return self.now_s

    def pause(self, seconds):
        self.now_s += seconds
        for second in [second for second in self.events if second <= self.now_s]:
            self.events.pop(second)()
        assert self.now_s < 100_000, "it waits for ever"


@pytest.fixture
def job(tmp_path):
    return SimpleNamespace(job_id="7_0", paths=SimpleNamespace(result_pickle=tmp_path / "result"))


def queued(state):
    return {"7_0": QueuedJob(state, "None", "node1")}


def test_a_result_ends_the_wait_whatever_slurm_says(job):
    time = Time({40: job.paths.result_pickle.touch})
    assert wait([job], lambda: queued("RUNNING"), time.clock, time.pause) == {}
    assert 40 <= time.now_s <= 41


@pytest.mark.parametrize("state", [LOST, "CANCELLED", "PREEMPTED"])
def test_a_job_that_was_killed_ends_the_wait(job, state):
    time, answer = Time(), {} if state == LOST else queued(state)
    assert wait([job], lambda: answer, time.clock, time.pause) == {"7_0": state}
    assert time.now_s < 100


def test_while_slurm_is_silent_no_job_is_lost(job):
    """For an hour; then it answers that the job is running."""
    asked = []

    def ask():
        asked.append(time.now_s)
        if time.now_s < 3600:
            raise NoAnswer("SLURM does not answer")
        return queued("RUNNING")

    time = Time({5000: job.paths.result_pickle.touch})
    assert wait([job], ask, time.clock, time.pause) == {}
    assert len(asked) < 200  # every half minute


def test_a_job_that_is_lost_does_not_end_the_wait_for_the_others(job, tmp_path):
    other = SimpleNamespace(job_id="7_1", paths=SimpleNamespace(result_pickle=tmp_path / "other"))
    answer = {"7_1": QueuedJob("RUNNING", "None", "node1")}
    time = Time({500: other.paths.result_pickle.touch})
    assert wait([job, other], lambda: answer, time.clock, time.pause) == {"7_0": LOST}
    assert time.now_s >= 500
