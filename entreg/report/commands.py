"""What to type to repeat a run, read back from the folders that Hydra and the run itself have written."""

from __future__ import annotations

import shlex

from entreg.run.folder import RunFolder, SweepFolder


def command_of(folder: RunFolder) -> str | None:
    """The command of one job; None where its folder is gone or was not started from the command line."""
    typed = folder.read_typed()
    return None if typed is None else _command(typed)


def repeat(runs: list[RunFolder], evaluation: RunFolder) -> list[str]:
    """What to type, in order, to train these runs and evaluate them once more, with the commits to do it at."""
    commits = {_commit(run) for run in runs}
    own = _commit(evaluation)
    trained = _sweep_commands(runs)
    if len(commits) == 1:
        trained = [*_checkout(commits.pop()), *trained] if trained else []
    judged = command_of(evaluation) or "python train.py task=evaluate"
    return [*trained, *([] if trained[:1] == _checkout(own) else _checkout(own)), judged]


def commit_of(folder: RunFolder) -> str | None:
    """The git commit that a run was trained with, marked where the tree held changes that no commit holds."""
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
    return [f"git checkout {commit}"] if commit else []


def _commit(folder: RunFolder) -> str | None:
    starts = folder.starts()
    return starts[-1].get("git_commit") if starts else None


def _sweep_commands(folders: list[RunFolder]) -> list[str]:
    """The commands of the sweeps that the jobs belong to, each once; of a job without a sweep its own."""
    found = []
    for folder in folders:
        sweep = SweepFolder(folder.path.parent).read_typed()
        command = command_of(folder) if sweep is None else _command(["-m", *sweep])
        if command is not None and command not in found:
            found.append(command)
    return found


def _command(overrides: list[str]) -> str:
    return shlex.join(["python", "train.py", *overrides])
