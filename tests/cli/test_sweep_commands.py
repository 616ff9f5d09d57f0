"""`entreg status` and `entreg cancel`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from entreg.cli import sweep_commands
from entreg.runs.folder import SweepFolder
from entreg.runs.submission import PlannedRun, Submission
from tests.conftest import ROOT


@pytest.fixture
def sweep(tmp_path, monkeypatch) -> SweepFolder:
    monkeypatch.chdir(tmp_path)
    sweep = SweepFolder(tmp_path / "multirun/s")
    sweep.path.mkdir(parents=True)
    sweep.write_jobs([PlannedRun(["seed=0"], "0"), PlannedRun(["seed=1"], "1")])
    return sweep


@pytest.mark.parametrize(
    "words, name",
    [
        (["status"], "status"),
        (["task=status", "runs=a"], "status"),
        (["cancel", "a"], "cancel"),
        (["task=evaluate"], None),
        ([], None),
    ],
)
def test_the_commands_are_known_by_their_names(words, name):
    assert sweep_commands.asked_for(words) == name


@pytest.mark.parametrize("place", [[], ["multirun/s"], ["runs=multirun/s"], ["runs='multirun/s'"]])
def test_the_sweep_is_the_newest_or_the_one_that_is_named(sweep, place, capsys):
    assert sweep_commands.run("status", ["status", *place]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 runs: 2 not started"
    assert sweep_commands.run("status", ["status", "--json", *place]) == 1
    assert [run["run"] for run in json.loads(capsys.readouterr().out)["runs"]] == [0, 1]


@pytest.mark.parametrize("words", [["a", "b"], ["seed=1"], ["--jsno"], ["nowhere"]])
def test_anything_else_is_refused(sweep, words, capsys):
    assert sweep_commands.run("status", ["status", *words]) == 2
    assert words[-1] in capsys.readouterr().err


def test_cancel_says_what_it_cancels(sweep, commands, capsys):
    assert sweep_commands.run("cancel", ["cancel"]) == 0
    assert "no job of" in capsys.readouterr().out
    sweep.add_submission(Submission("7", [[0], [1]]))
    commands.say("squeue", "7_1|PENDING|Priority|\n")
    commands.say("scancel", "", 1, "scancel: error: Unable to contact slurm controller")
    assert sweep_commands.run("cancel", ["cancel"]) == 2
    said = capsys.readouterr()
    assert said.out.endswith("multirun/s: 7_1\n") and "SLURM does not answer (scancel: " in said.err


def test_a_status_loads_neither_pytorch_nor_hydra(sweep):
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from entreg.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, *sorted({'torch', 'hydra', 'submitit'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(ROOT), "status"], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "1", done.stdout + done.stderr
