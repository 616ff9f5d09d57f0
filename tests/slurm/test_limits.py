"""Limits that SLURM would only tell by never starting a job."""

from __future__ import annotations

import pytest

from entreg.slurm.limits import minutes, most_tasks, partitions, why_too_long, why_too_short

SHOWN = """\
PartitionName=short AllowGroups=ALL AllowAccounts=ALL Default=YES MaxTime=01:00:00 MinNodes=0 State=UP
PartitionName=long AllowGroups=ALL AllowAccounts=ALL Default=NO MaxTime=7-12:00:00 MinNodes=0 State=UP
PartitionName=free AllowGroups=ALL AllowAccounts=ALL Default=NO MaxTime=UNLIMITED MinNodes=0 State=UP
"""


@pytest.mark.parametrize(
    "text, expected", [("01:00:00", 60), ("7-12:00:00", 10800), ("00:00:30", 0.5), ("UNLIMITED", None), ("NONE", None)]
)
def test_a_time_limit_in_minutes(text, expected):
    assert minutes(text) == expected


def test_a_time_limit_is_compared_with_that_of_the_partition(commands):
    commands.say("scontrol", SHOWN)
    assert [(one.name, one.is_default, one.most_min) for one in partitions().values()] == [
        ("short", True, 60),
        ("long", False, 10800),
        ("free", False, None),
    ]
    assert why_too_long(60, None) is None and why_too_long(61, "long") is None and why_too_long(99999, "free") is None
    assert why_too_long(61, "short,long") is None  # SLURM takes the one that fits
    assert why_too_long(61, "unknown") is None  # sbatch refuses it by name
    said = why_too_long(61, None)
    assert said.startswith("hardware.timeout_min=61 is above the limit of the partition short, 60 minutes")
    assert "hardware.timeout_min=60:" in said and "hardware.partition=NAME" in said


def test_what_slurm_does_not_tell_is_left_to_sbatch(commands):
    commands.say("scontrol", "", 1, "Access denied")
    assert why_too_long(99999, None) is None and most_tasks() is None


def test_the_size_of_an_array(commands):
    commands.say("scontrol", "MaxArraySize            = 1001\nMaxDBDMsgs              = 20004\n")
    assert most_tasks() == 1001 and commands.calls("scontrol") == ["--oneliner show config"]


@pytest.mark.parametrize("timeout_min, signal_delay_s", [(3, 120), (1, 30), (1, 0)])
def test_a_job_that_is_asked_to_stop_at_its_start_is_refused(timeout_min, signal_delay_s):
    """USR2 comes up to 30 s early, and a start takes up to 30 s: 180 s are not above 120 + 60 s."""
    said = why_too_short(timeout_min, signal_delay_s)
    least = (signal_delay_s + 60) // 60 + 1
    assert f"hardware.timeout_min={least}" in said and "hydra.launcher.signal_delay_s=SECONDS" in said
    assert f"{signal_delay_s} to {signal_delay_s + 30} s before its end" in said
    assert why_too_short(least, signal_delay_s) is None
