"""Stand-ins for SLURM's commands, which print what a test says that they print."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


class Commands:
    """A folder of commands that stands first in the PATH. Each notes the words that it is called with."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def say(self, name: str, output: str = "", code: int = 0, error: str = "") -> None:
        """Let a command print `output`, write `error` to stderr and end with `code`."""
        script = self.folder / name
        script.write_text(
            f'#!/bin/sh\necho "$*" >> {shlex.quote(str(self.folder))}/{name}.calls\n'
            f"printf %s {shlex.quote(output)}\nprintf %s {shlex.quote(error)} >&2\nexit {code}\n"
        )
        script.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        """Return the words of each call of a command."""
        calls = self.folder / f"{name}.calls"
        return calls.read_text().splitlines() if calls.is_file() else []
