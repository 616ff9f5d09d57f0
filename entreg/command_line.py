"""The commands that messages tell the user to type, in the form in which the user started the program."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def program() -> str:
    """Return how this program was started: `python train.py`, `entreg` or `python -m entreg`.

    A program that merely imports entreg gets `entreg`, a command that every installation has.
    """
    started = Path(sys.argv[0])
    if started.name == "train.py":
        return "python train.py"
    return "python -m entreg" if started.name == "__main__.py" and started.parent.name == "entreg" else "entreg"


def command(words: Sequence[str]) -> str:
    """Return the command with these words, quoted so that it can be pasted into a shell."""
    return f"{program()} {shlex.join(words)}".rstrip()
