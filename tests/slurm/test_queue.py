"""What one call of squeue tells of all jobs."""

from __future__ import annotations

import pytest

from entreg.slurm.commands import NoAnswer
from entreg.slurm.queue import QueuedJob, active, found, marked, queue

SAID = """\
7_0|RUNNING|None|node1
7_1|PENDING|BeginTime|
8|COMPLETING|None|node2
9|OUT_OF_MEMORY|OutOfMemory|node2
10|HIBERNATING|None|
what someone|else printed
"""


def test_each_job_is_known_by_the_id_of_its_task(commands):
    commands.say("squeue", SAID)
    jobs = queue()
    assert list(jobs) == ["7_0", "7_1", "8", "9", "10"]
    assert jobs["7_0"] == ("RUNNING", "None", "node1") and jobs["7_1"].reason == "BeginTime"
    assert [job for job, about in jobs.items() if about.is_active] == ["7_0", "7_1", "8", "10"]
    assert [job for job, about in jobs.items() if about.is_waiting] == ["7_1"]
    assert len(commands.calls("squeue")) == 1


def test_of_some_jobs_those_are_active_that_go_on(commands):
    commands.say("squeue", SAID)
    assert active(["9", "8", "11", "7_1"]) == ["8", "7_1"] and len(commands.calls("squeue")) == 1
    assert active([]) == [] and len(commands.calls("squeue")) == 1  # nobody need ask


def test_no_jobs_are_another_answer_than_none(commands):
    commands.say("squeue", "")
    assert queue() == {}
    commands.say("squeue", "", 1, "Socket timed out")
    with pytest.raises(NoAnswer):
        queue()


def test_jobs_are_found_by_a_mark_that_is_their_whole_comment(commands):
    commands.say("squeue", "7 entreg:ab\n7 entreg:ab\n8 entreg:abc\n9 see entreg:ab\n10 (null)\n11 entreg:ab\n")
    assert marked("entreg:ab") == ["7", "11"]


def test_of_an_array_that_was_cancelled_one_by_one_a_single_record_is_left():
    """As SLURM 22.05.8 keeps it after `scancel 3_0 3_1`, where both waited."""
    jobs = {"3": QueuedJob("CANCELLED", "BeginTime", ""), "4_0": QueuedJob("RUNNING", "None", "node1")}
    assert found(jobs, "3_0").state == found(jobs, "3_1").state == "CANCELLED"
    assert found(jobs, "4_0").state == "RUNNING" and found(jobs, "4_1") is None and found(jobs, "5") is None
