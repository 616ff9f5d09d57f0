"""Commands that a message tells the user to type."""

from __future__ import annotations

import sys

import pytest

from entreg.command_line import command, program


@pytest.mark.parametrize(
    "started, expected",
    [
        ("/home/me/entreg/train.py", "python train.py"),
        ("train.py", "python train.py"),
        ("/venv/bin/entreg", "entreg"),
        ("/venv/lib/python3/site-packages/entreg/__main__.py", "python -m entreg"),
        ("/home/me/notebook.py", "entreg"),
        ("/home/me/other/__main__.py", "entreg"),
        ("", "entreg"),
    ],
)
def test_the_program_is_called_as_it_was_started(monkeypatch, started, expected):
    monkeypatch.setattr(sys, "argv", [started])
    assert program() == expected


def test_a_command_can_be_pasted_into_a_shell(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert (
        command(["-m", "loss=nll,nll_entropy", "runs=my study"])
        == "python train.py -m loss=nll,nll_entropy 'runs=my study'"
    )
    assert command([]) == "python train.py"
