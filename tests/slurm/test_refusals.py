"""What sbatch of SLURM 22.05 wrote, and the setting that is to be changed."""

from __future__ import annotations

import pytest

from entreg.slurm.refusals import explained, may_have_submitted

FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    "said, setting",
    [
        ("Invalid partition name specified", "hardware.partition=NAME"),
        ("Invalid account or account/partition combination specified", "hardware.account=NAME"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "hardware.timeout_min=MINUTES"),
        ("Memory required by task is not available", "hardware.memory_gb=null"),
        ("Invalid generic resource (gres) specification", "hydra.launcher.gres="),
        ("Invalid feature specification", "hardware.constraint=NAME"),
        ("Invalid qos specification", "hydra.launcher.qos=NAME"),
        ("Invalid wckey specification", "additional_parameters.wckey=NAME"),
        ("Invalid job array specification", "array_parallelism"),
        ("Requested node configuration is not available", "hardware.cpus=N"),
    ],
)
def test_a_refusal_is_a_line_with_the_way_out_below(said, setting):
    first, second = explained(f"{FAILED}{said}\n").splitlines()
    assert first == f"SLURM refuses the jobs: Batch job submission failed: {said}"
    assert second.startswith("  ask for something else   ") and setting in second


def test_what_it_says_before_that_is_said_as_well():
    said = f"sbatch: error: invalid partition specified: nope\n{FAILED}Invalid partition name specified\n"
    assert explained(said).startswith("SLURM refuses the jobs: invalid partition specified: nope; Batch job submission")


def test_what_nobody_has_foreseen_is_said_as_it_is():
    assert explained("sbatch: error: no jobs on Sundays\n") == "SLURM refuses the jobs: no jobs on Sundays"
    assert explained("") == "SLURM refuses the jobs: it said nothing"


def test_silence_is_no_refusal():
    assert may_have_submitted(f"{FAILED}Socket timed out on send/recv operation")
    assert not may_have_submitted(f"{FAILED}Invalid partition name specified")
