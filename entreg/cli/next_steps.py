"""What to type next: the commands that are printed at the end of runs and sweeps, which can be pasted as they stand."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from entreg.command_line import command, word
from entreg.runs.folder import RunFolder, SweepFolder


def after_training(folder: RunFolder) -> str:
    """Return the folder of a training that has finished, and what can be done with it."""
    place = relative(folder.path)
    return "\n".join(
        [
            f"run {place}",
            f"evaluate with: {evaluation_of(folder.path)}",
            f"predict with: {command(['task=predict', word('run', place), 'images=FOLDER'])}",
        ]
    )


def evaluation_of(folder: Path) -> str:
    """Return the command that evaluates a sweep, or a single run."""
    return command(["task=evaluate", word("runs", relative(folder))])


def how_to_look(sweep: SweepFolder) -> str:
    """Say how to look at the jobs of a sweep, and how to cancel them."""
    look, end = (command([task, word("runs", relative(sweep.path))]) for task in ("status", "cancel"))
    return f"Look at them with `{look}`, cancel them with `{end}`; the same command goes on waiting."


def how_to_go_on(folder: Path, *, is_sweep: bool) -> str:
    """Say which command goes on with a sweep or a single run that was interrupted."""
    parent, key = ("multirun", "hydra.sweep.dir") if is_sweep else ("outputs", "hydra.run.dir")
    is_usual = folder.absolute().parent == Path(parent).absolute()
    place = word("study", folder.name) if is_usual else word(key, str(folder.absolute()))
    return f"the same command with {shlex.quote(place)} goes on with {folder}"


def how_to_start_again(sweep: SweepFolder) -> str | None:
    """Return the command that starts again what has not finished of a sweep, or None where it is not known."""
    task, hydra = sweep.read_typed(), sweep.read_typed_for_hydra()
    if task is None or hydra is None:
        return None
    kept = [typed for typed in hydra if not typed.startswith("hydra.sweep.dir=")]
    return command(["-m", *task, *kept, word("hydra.sweep.dir", str(sweep.path.absolute()))])


def relative(folder: Path) -> str:
    """Return a folder as somebody would type it here: below the current folder as a relative path."""
    return os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
