"""A command of SLURM that fails, hangs or is not there says nothing of the jobs."""

from __future__ import annotations

import pytest

from entreg.slurm import commands as slurm_commands
from entreg.slurm.commands import NoAnswer, answer_of


def test_an_answer_is_what_the_command_prints(commands):
    commands.say("squeue", "12|RUNNING\n")
    assert answer_of("squeue", "--me", "-h") == "12|RUNNING\n" and commands.calls("squeue") == ["--me -h"]


def test_a_command_that_fails_gives_no_answer_but_its_message(commands):
    commands.say("squeue", "", 1, "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
    with pytest.raises(NoAnswer, match=r"^SLURM does not answer \(squeue: slurm_load_jobs error: Unable to contact"):
        answer_of("squeue")


def test_nor_does_one_that_hangs_or_is_not_there(commands, monkeypatch):
    monkeypatch.setattr(slurm_commands, "PATIENCE_S", 0.2)
    (commands.folder / "squeue").write_text("#!/bin/sh\nexec sleep 60\n")
    (commands.folder / "squeue").chmod(0o755)
    with pytest.raises(NoAnswer, match="squeue took longer than 0 s"):
        answer_of("squeue")
    with pytest.raises(NoAnswer, match="nothing-like-it: No such file"):
        answer_of("nothing-like-it")
