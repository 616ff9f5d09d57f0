"""The entry point: what it answers itself, and what it hands to Hydra."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

from entreg.cli import main
from tests.conftest import ROOT


def entry(*words: str, start: tuple[str, ...] = ("train.py",)) -> subprocess.CompletedProcess:
    """The finished process of the entry point with these words, run in a checkout."""
    return subprocess.run(
        (sys.executable, *start, *words),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("start", [("train.py",), ("-m", "entreg")], ids=" ".join)
def test_the_version_and_the_help_are_answered_without_a_run(start):
    answered = entry("loss=nll", "--version", start=start)
    assert answered.returncode == 0 and answered.stderr == ""
    assert answered.stdout.startswith("entreg ") and answered.stdout.rstrip().endswith(f"torch {version('torch')}")
    answered = entry("--help", start=start)
    assert answered.returncode == 0 and answered.stderr == ""
    assert f"  python {' '.join(start)} evaluate multirun/NAME " in answered.stdout


def test_they_are_answered_before_anything_slow_is_imported(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    monkeypatch.setitem(sys.modules, "entreg.cli.composition", None)  # to import it would fail
    main()
    assert "loss=nll, nll_entropy" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["--help", "--help=all"])
def test_a_reader_who_stops_early_leaves_no_traceback(word, monkeypatch, capfd):
    """As `| head -0` does: nobody reads the other end of the pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed, monkeypatch.context() as patched:  # noqa: PTH123  # a descriptor
        patched.setattr(sys, "argv", ["train.py", word])
        patched.setattr(sys, "stdout", closed)
        with pytest.raises(SystemExit) as ended:
            main()
        closed.flush()  # to where what is left goes
    assert capfd.readouterr().err == "" and ended.value.code == 128 + signal.SIGPIPE


@pytest.mark.slow
def test_a_folder_after_a_task_is_what_the_task_works_on(command, failed_once, tmp_path):
    """The second run of `failed_once` is a training of its own; the first was one of another task."""
    sweep = failed_once[0]
    done = command("evaluate", str(sweep / "1"), "hydra.run.dir=evaluation", "hardware=cpu", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "evaluation/results.json").read_text())
    assert results["arms"]["nll"]["runs"] == [str(sweep / "1")]
    assert "Nothing is compared" in done.stdout
    assert (tmp_path / "evaluation/train.log").is_file()  # Hydra's job is called so in conf/config.yaml


def test_a_folder_that_is_not_there_is_refused_with_exit_code_1(command, tmp_path):
    done = command("evaluate", "multirun/gone", folder=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"runs=multirun/gone: there is no such folder (seen from {tmp_path})" in done.stderr


def test_words_of_an_earlier_version_are_refused_with_exit_code_2(command, tmp_path):
    done = command("task._target_=entreg.train.trainer.train", folder=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert "type task=train, a task is chosen by its name" in done.stderr
