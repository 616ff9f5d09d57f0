"""The commands that repeat a run, read from the folders that Hydra and the run itself have written.

People paste them into a shell, and the folder may be somebody else's: words are quoted, and where one is no setting of
entreg, or names code to be run, a comment stands in the command's place.
"""

from __future__ import annotations

import dataclasses
import re
import shlex

from entreg.config import Config
from entreg.errors import brief
from entreg.runs.folder import RunFolder, SweepFolder

# what may stand before `=`: a key of the config, or where and how Hydra runs the jobs
GROUPS = "|".join(("experiment", "logger", *(field.name for field in dataclasses.fields(Config))))
KEY = re.compile(
    rf"(\+\+?|~)?((({GROUPS})([./@][\w.@/-]+)?)|hydra/(launcher|sweeper)|hydra\.(launcher|sweeper|run|sweep)\.[\w.]+)"
)


def command_of(folder: RunFolder) -> str | None:
    """Return the command of a job; None where its folder is gone, or the job was not started from the command line."""
    typed = folder.read_typed()
    return None if typed is None else _command(typed)


def repeat(runs: list[RunFolder], evaluation: RunFolder) -> list[str]:
    """Return the commands that train these runs and evaluate them again, each at its commit."""
    commits = {_commit(run) for run in runs}
    training = _sweep_commands(runs)
    if len(commits) == 1:
        training = [*_checkout(commits.pop()), *training] if training else []
    checkout = _checkout(_commit(evaluation))
    evaluate = command_of(evaluation) or "python train.py task=evaluate"
    return [*training, *([] if training[:1] == checkout else checkout), evaluate]


def commit_of(folder: RunFolder) -> str | None:
    """Return the git commit of a run; it is marked where the working tree held uncommitted changes."""
    starts = folder.starts()
    if not starts or not starts[-1].get("git_commit"):
        return None
    commits = dict.fromkeys(
        start["git_commit"][:10] + ("" if start.get("git_clean") else " with uncommitted changes")
        for start in starts
        if start.get("git_commit")
    )
    return ", then ".join(commits)


def _checkout(commit: str | None) -> list[str]:
    """Return the command that checks the commit out, if there is one."""
    return [f"git checkout {commit}"] if commit else []


def _commit(folder: RunFolder) -> str | None:
    """Return the full git commit of a run's last start."""
    starts = folder.starts()
    return starts[-1].get("git_commit") if starts else None


def _sweep_commands(folders: list[RunFolder]) -> list[str]:
    """Return the commands of the sweeps that the jobs belong to, each once; for a job without a sweep its own."""
    unique = []
    for folder in folders:
        sweep = SweepFolder(folder.path.parent).read_typed()
        command = command_of(folder) if sweep is None else _command(["-m", *sweep])
        if command is not None and command not in unique:
            unique.append(command)
    return unique


def _command(words: list[str]) -> str:
    """Return the command with these words, or a comment where one of them is no setting."""
    for word in words:
        key = word.partition("=")[0]
        if word != "-m" and not KEY.fullmatch(key):
            return f"# no command is shown, since it holds a word that is no setting of entreg: {brief(word)!r}"
        if "_target_" in word or key.lstrip("+") == "allow":
            return f"# no command is shown, since it calls code of another package: {brief(word)!r}"
    return shlex.join(["python", "train.py", *words])
