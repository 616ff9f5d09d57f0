"""Commands that a message tells the user to type."""

from __future__ import annotations

import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from entreg.command_line import command, program, quoted, unquoted, word


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


@pytest.mark.parametrize("text", ["a b", "a,b", "it's", "a=b (c) #1", "back\\slash", "ends\\", "\\'", "${seed}", "é"])
def test_a_quoted_value_means_the_text_itself(text):
    parsed = OverridesParser.create().parse_override(f"runs={quoted(text)}")
    assert parsed.value() == text.replace("${", "\\${")  # OmegaConf takes the backslash away when it resolves
    assert unquoted(quoted(text)) == text


def test_a_value_is_quoted_only_where_hydra_would_read_something_else():
    assert word("runs", "multirun/2026-11-30_00-31-02") == "runs=multirun/2026-11-30_00-31-02"
    assert word("runs", "/tmp/s") == "runs=/tmp/s" and word("runs", "../s") == "runs=../s"
    for text in ("null", "1e3", "a b", "NaN", "5", "-1", ".5"):
        assert word("runs", text) == f"runs='{text}'"
    assert unquoted("multirun/it's") == "multirun/it's"
