"""`status` and `cancel`: they need neither Hydra nor PyTorch, and answer at once."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import datetime

from entreg.command_line import unquoted
from entreg.errors import UserError

COMMANDS = ("status", "cancel")
JSON = "--json"


def asked_for(words: Sequence[str]) -> str | None:
    """Return the command that the words ask for, as `status` or `task=status`; None where they ask for another task."""
    for name in COMMANDS:
        if words and (words[0] == name or f"task={name}" in words):
            return name
    return None


def run(name: str, words: Sequence[str]) -> int:
    """Perform a command and return its exit code: 2 where it is refused, else see `status.exit_code`.

    words: those of the command line, of which `runs=FOLDER` or a folder in the second place names the sweep
    """
    try:
        folder, is_json = _parsed(name, words)
        return (_status if name == "status" else _cancel)(folder, is_json)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


def _parsed(name: str, words: Sequence[str]) -> tuple[str | None, bool]:
    """Return the folder that is named, if any, and whether JSON is asked for."""
    rest = [word for word in words if word not in (name, f"task={name}")]
    folders = [unquoted(word.removeprefix("runs=")) for word in rest if not word.startswith("-")]
    unknown = [word for word in rest if re.match(r"[\w.]+=", word) and not word.startswith("runs=")]
    unknown += [word for word in rest if word.startswith("-") and not (word == JSON and name == "status")]
    if unknown or len(folders) > 1:
        raise UserError(f"{' '.join(unknown) or ' '.join(folders)}: {name} takes one folder: {name} runs=FOLDER")
    return (folders[0] if folders else None), JSON in rest


def _status(folder: str | None, is_json: bool) -> int:
    from entreg.cli import next_steps, status, status_table  # late, since other commands do not need them

    sweep = status.find_sweep(folder)
    runs, silence = status.status_of(sweep, datetime.now())
    if not runs:
        raise UserError(f"{sweep.path} holds no runs")
    print(status_table.as_json(runs, silence) if is_json else status_table.as_text(runs, silence))
    code = status.exit_code(runs, silence)
    again = next_steps.how_to_start_again(sweep) if code == 1 and not is_json else None
    if again is not None:
        print(f"what has not finished, perhaps with hardware.memory_gb=GB hardware.timeout_min=MINUTES:\n  {again}")
    return code


def _cancel(folder: str | None, _: bool) -> int:
    from entreg.cli import cancel, status

    sweep = status.find_sweep(folder)
    jobs = cancel.active_jobs(sweep)
    if not jobs:
        print(f"no job of {sweep.path} waits or runs")
        return 0
    print(f"cancelling {len(jobs)} jobs of {sweep.path}: {' '.join(jobs)}", flush=True)
    cancel.cancel(sweep, jobs)
    print("they are gone; the same command as before goes on with their runs")
    return 0
