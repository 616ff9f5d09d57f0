"""The state of each run, from its folder and one call of squeue."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import datetime

import pytest

from entreg.cli.status import exit_code, find_sweep, status_of
from entreg.errors import UserError
from entreg.io.leases import Owner
from entreg.runs.folder import SweepFolder
from entreg.runs.submission import PlannedRun, Submission

NOW = datetime.now()


@pytest.fixture
def sweep(tmp_path) -> SweepFolder:
    """Ten runs, all of them submitted as one array, of which none has begun."""
    sweep = SweepFolder(tmp_path / "multirun/s")
    sweep.path.mkdir(parents=True)
    sweep.write_jobs([PlannedRun(["loss=nll", f"seed={seed}"], f"s{seed}") for seed in range(10)])
    sweep.add_submission(Submission("7", [[run] for run in range(10)]))
    return sweep


def works_on(sweep: SweepFolder, run: int) -> None:
    """Let a process elsewhere work on a run."""
    folder = sweep.run(run)
    folder.path.mkdir(exist_ok=True)
    since = NOW.replace(microsecond=0)
    owner = Owner("node7", "another boot", 1, None, "12", 0, since.strftime("%Y-%m-%d %H:%M:%S"), "token")
    folder.owner.write_text(json.dumps(asdict(owner)))
    os.utime(folder.owner, (NOW.timestamp(), NOW.timestamp()))


def test_every_state_has_its_word_and_squeue_is_asked_once(sweep, commands):
    commands.say(
        "squeue",
        "7_1|RUNNING|None|node1\n7_2|RUNNING|None|node1\n7_3|PENDING|Priority|\n7_4|PENDING|BeginTime|\n"
        "7_5|FAILED|None|node2\n7_6|OUT_OF_MEMORY|None|node2\n7_7|CANCELLED|None|\n",
    )
    sweep.run(0).final.parent.mkdir(parents=True)
    sweep.run(0).final.touch()
    works_on(sweep, 1)
    sweep.run(1).metrics.write_text("validation_ig_bits_per_fixation,seconds\n0.5,2\n")
    sweep.run(4).path.mkdir()
    sweep.run(5).path.mkdir()
    sweep.run(5).failure.write_text("no data there\n  have it elsewhere   data.root=PATH\n")
    sweep.run(8).write_ending("it was cancelled", "7_8")
    runs, silence = status_of(sweep, NOW)
    assert silence is None and len(commands.calls("squeue")) == 1
    assert [(run.state, run.about) for run in runs] == [
        ("finished", ""),
        ("running", "epoch 1 of ?"),
        ("running", "starts"),
        ("queued", "waits (Priority)"),
        ("queued", "waits for its next run (BeginTime)"),
        ("failed", "no data there"),
        ("stopped", "it needed more memory than it had asked for (hardware.memory_gb)"),
        ("stopped", "it was cancelled"),
        ("stopped", "it was cancelled"),
        ("lost", "SLURM no longer knows it, and it left no outcome"),
    ]
    assert (runs[1].job, runs[1].node, runs[1].validation_ig_bits_per_fixation) == ("7_1", "node1", 0.5)
    assert 0 <= runs[1].seconds < 1 and runs[1].folder.endswith("multirun/s/s1") and runs[1].overrides == "seed=1"


def test_while_slurm_is_silent_the_folders_are_all_that_is_known(sweep, commands):
    commands.say("squeue", "", 1, "Socket timed out")
    works_on(sweep, 0)
    runs, silence = status_of(sweep, NOW)
    assert silence == "SLURM does not answer (squeue: Socket timed out)"
    assert [run.state for run in runs] == ["running", *["unknown"] * 9]
    assert exit_code(runs, silence) == 4


def test_runs_that_were_never_submitted_need_no_slurm(sweep, commands):
    commands.say("squeue", "", 1, "is not asked")
    sweep.submitted.unlink()
    works_on(sweep, 0)
    sweep.run(1).path.mkdir()
    runs, silence = status_of(sweep, NOW)
    assert silence is None and not commands.calls("squeue")
    assert [run.state for run in runs[:3]] == ["running", "stopped", "not started"]


def test_the_exit_code_is_0_only_when_all_have_finished(sweep, commands):
    commands.say("squeue", "7_0|RUNNING|None|node1\n")
    sweep.write_jobs([PlannedRun([], "0"), PlannedRun([], "1")])
    sweep.run(1).final.parent.mkdir(parents=True)
    sweep.run(1).final.touch()
    assert exit_code(*status_of(sweep, NOW)) == 3
    commands.say("squeue", "")
    assert exit_code(*status_of(sweep, NOW)) == 1
    sweep.run(0).final.parent.mkdir(parents=True)
    sweep.run(0).final.touch()
    assert exit_code(*status_of(sweep, NOW)) == 0


def test_the_newest_sweep_is_meant_unless_one_is_named(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = SweepFolder(tmp_path / "multirun/other")
    other.path.mkdir()
    other.write_jobs([])
    os.utime(other.jobs, (1, 1))
    assert find_sweep(None).path.name == "s" and find_sweep("multirun/other").path.name == "other"
    with pytest.raises(UserError, match="^runs=nowhere: there is no such folder"):
        find_sweep("nowhere")
    monkeypatch.chdir(tmp_path / "multirun/s")
    with pytest.raises(UserError, match="^there is no sweep under multirun/"):
        find_sweep(None)
