"""When a job counts as ended that has left no result."""

from __future__ import annotations

import pytest

from entreg.slurm.endings import LOST, MEANING, Endings
from entreg.slurm.queue import ENDED, QueuedJob


def job(state: str) -> QueuedJob:
    return QueuedJob(state, "None", "node1")


def test_a_job_is_lost_after_a_minute_out_of_the_queue():
    endings = Endings()
    assert endings.observe({}, ["7"], 0) == {}
    assert endings.observe({}, ["7"], 59) == {}
    assert endings.observe({}, ["7"], 60) == {"7": LOST}


def test_a_job_that_comes_back_is_not_lost():
    """A requeued job was out of the queue for a moment; the minute begins anew."""
    endings = Endings()
    endings.observe({}, ["7"], 0)
    assert endings.observe({"7": job("PENDING")}, ["7"], 30) == {}
    assert endings.observe({}, ["7"], 70) == {} and endings.observe({}, ["7"], 130) == {"7": LOST}


@pytest.mark.parametrize("state", ["CANCELLED", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"])
def test_an_ended_state_counts_once_the_result_has_had_time_to_be_seen(state):
    endings = Endings()
    assert endings.observe({"7": job(state)}, ["7"], 0) == {}
    assert endings.observe({"7": job(state)}, ["7"], 15) == {"7": state}


def test_slurm_forgets_a_state_that_is_remembered_here():
    endings = Endings()
    endings.observe({"7": job("CANCELLED")}, ["7"], 0)
    assert endings.observe({}, ["7"], 20) == {"7": "CANCELLED"}


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "A_STATE_OF_TOMORROW"])
def test_every_other_state_goes_on_for_ever(state):
    endings = Endings()
    assert not any(endings.observe({"7": job(state)}, ["7"], second) for second in range(0, 10_000, 100))


def test_each_ending_has_a_meaning():
    assert MEANING.keys() == ENDED | {LOST}
