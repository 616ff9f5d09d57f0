"""The table of runs that is printed at the end of a sweep."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from entreg.cli.next_steps import evaluation_of, relative
from entreg.cli.status_table import MOST_LINES, MOST_LOGS, by_arm
from entreg.columns import aligned
from entreg.errors import UserError
from entreg.runs.folder import RunFolder, SweepFolder
from entreg.runs.submission import PlannedRun, telling_apart

HEAD = ("run", "overrides", "state", "validation IG (bit/fix)", "folder")


@dataclass
class Sweep:
    """A sweep that this process started: its folder and its jobs.

    jobs: None where a sweeper chooses the jobs one after the other
    evaluates: whether its evaluation follows here, when all jobs have finished
    """

    folder: SweepFolder
    jobs: list[PlannedRun] | None
    evaluates: bool = False


_started: list[Sweep] = []
_left: list[RunFolder] = []


def announce(sweep: Sweep) -> None:
    """Record that this process starts the sweep, so that its table is printed at the end."""
    _started.append(sweep)


def withdraw() -> None:
    """Print no table, since nothing was started, or all goes on."""
    _started.clear()


def leave_to_another(folder: RunFolder) -> None:
    """Record that another process works on a run of the sweep, so that it is asked for at the end."""
    _left.append(folder)


@contextmanager
def printed_at_the_end() -> Iterator[None]:
    """Print the table of each sweep that was started in the `with` block at its end, also where a job failed.

    Exits with 1 where a run that was left to another process has not finished by then.
    """
    try:
        yield
    finally:
        for sweep in _started if os.environ.get("RANK", "0") == "0" else []:
            print(table(sweep), flush=True)
    unfinished = [relative(folder.path) for folder in _left if not folder.is_finished]
    if unfinished:
        print(
            f"another process works on {', '.join(unfinished)}; the same command tells what came of it", file=sys.stderr
        )
        sys.exit(1)


def to_evaluate() -> list[Sweep]:
    """Return the sweeps that were started, whose evaluation follows, and of which every run has finished."""
    first = os.environ.get("RANK", "0") == "0"
    return [
        sweep
        for sweep in _started
        if first
        and sweep.evaluates
        and all(RunFolder(sweep.folder.path / job.folder).is_finished for job in sweep.jobs or [])
    ]


def table(sweep: Sweep) -> str:
    """Return a row for each run: its number, the words that tell it apart, its state, validation IG and folder.

    More than MOST_LINES runs are summed up by arm. The log of each run that failed follows and, where a run has been
    trained, the command that evaluates the runs.
    """
    jobs = sweep.folder.begun() if sweep.jobs is None else sweep.jobs
    folders = [RunFolder(sweep.folder.path / job.folder) for job in jobs]
    rows = [*zip(telling_apart(jobs), folders, strict=True)]
    if len(rows) > MOST_LINES:
        lines = aligned(by_arm([(words, folder.state.value) for words, folder in rows]))
        lines.append(f"{len(rows)} runs in {relative(sweep.folder.path)}")
    else:
        lines = aligned([HEAD, *(_row(number, words, folder) for number, (words, folder) in enumerate(rows))])
    failed = [number for number, folder in enumerate(folders) if folder.why_failed()]
    lines += [f"log of run {number}: {relative(folders[number].log)}" for number in failed[:MOST_LOGS]]
    if any(folder.is_trained for folder in folders):
        lines.append(f"evaluate with: {evaluation_of(sweep.folder.path)}")
    return "\n".join(["", *lines])


def _row(number: int, words: str, folder: RunFolder) -> tuple[str, ...]:
    return str(number), words, folder.state_in_words, _ig(folder), relative(folder.path)


def _ig(folder: RunFolder) -> str:
    """Return the run's last validation IG as text; empty where there is none yet."""
    try:
        ig_bits = folder.last_ig_bits()
    except UserError:
        return "cannot be read"
    return "" if ig_bits is None else f"{ig_bits:.4f}"
