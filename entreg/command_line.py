"""The commands that messages tell the user to type, in the form in which the user started the program."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

PLAIN = re.compile(r"[A-Za-z_/][\w./-]*|\.\.?/[\w./-]*", re.ASCII)
NOT_TEXT = {"null", "true", "false", "nan", "inf"}  # words that mean something else in Hydra's grammar


def program() -> str:
    """Return how this program was started: `python train.py`, `entreg` or `python -m entreg`.

    A program that merely imports entreg gets `entreg`, a command that every installation has.
    """
    started = Path(sys.argv[0])
    if started.name == "train.py":
        return "python train.py"
    return "python -m entreg" if started.name == "__main__.py" and started.parent.name == "entreg" else "entreg"


def word(key: str, value: str) -> str:
    """Return the word that gives a setting a text as its value, quoted where Hydra would read something else."""
    is_plain = PLAIN.fullmatch(value) and value.lower() not in NOT_TEXT
    return f"{key}={value if is_plain else quoted(value)}"


def quoted(value: str) -> str:
    """Return a value in Hydra's grammar that means the text itself, whatever characters it contains."""
    # a backslash is special only before a quote and at the end
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), value)
    return "'" + escaped.replace("${", "\\${") + "'"


def unquoted(value: str) -> str:
    """Return the text that a value means in Hydra's grammar, where it is quoted; else the value itself."""
    found = re.fullmatch(r"(['\"])(.*)\1", value, re.DOTALL)
    if found is None:
        return value
    quote, inner = found.groups()
    text = re.sub(rf"(\\+)({quote}|$)", lambda match: "\\" * (len(match[1]) // 2) + match[2], inner)
    return text.replace("\\${", "${")


def command(words: Sequence[str]) -> str:
    """Return the command with these words, quoted so that it can be pasted into a shell."""
    return f"{program()} {shlex.join(words)}".rstrip()
