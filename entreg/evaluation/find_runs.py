"""Find the finished trainings that are evaluated."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from entreg.errors import DataError, UserError
from entreg.runs.folder import RunFolder, SweepFolder
from entreg.runs.newest_sweep import newest

log = logging.getLogger(__name__)


def find(patterns: str | Sequence[str] | None) -> tuple[list[RunFolder], list[RunFolder]]:
    """Return the finished trainings, and those left out because they have not finished or not even started.

    Raises a UserError that says what to type where no training has finished.

    patterns: a run, a sweep, a glob of either, or a list of them; None: the newest sweep under multirun/ with a
        finished training, else the trainings under outputs/
    """
    if patterns is not None:
        folders = list(dict.fromkeys(run for place in places(patterns) for run in SweepFolder(place).trainings()))
        finished = [folder for folder in folders if folder.is_trained]
        if not finished:
            raise UserError(f"runs={in_words(patterns)}: there is no finished training ({len(folders)} unfinished)")
    else:
        by_sweep = {path: _trainings(path) for path in Path("multirun").glob("*")}
        sweeps = [SweepFolder(path) for path, runs in by_sweep.items() if any(run.is_trained for run in runs)]
        folders = by_sweep[newest(sweeps).path] if sweeps else SweepFolder(Path("outputs")).trainings()
        finished = [folder for folder in folders if folder.is_trained]
        if not finished:
            raise UserError(
                f"There is no finished training under multirun/ or outputs/ of {Path.cwd()} to evaluate. "
                "Train one with\n  python train.py -m loss=nll,nll_entropy"
            )
    return finished, [folder for folder in folders if folder not in finished]


def places(patterns: str | Sequence[str]) -> list[Path]:
    """Return the folders that a pattern or a list of them names. Raises a UserError where a pattern names none."""
    found: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if Path(pattern).expanduser().is_dir():  # its name may hold what a glob reads otherwise
            found.append(Path(pattern).expanduser())
            continue
        named = sorted(Path(place) for place in glob(str(Path(pattern).expanduser())))  # noqa: PTH207  # ~ and / too
        if not named:
            raise UserError(f"runs={pattern}: there is no such folder (seen from {Path.cwd()})")
        found += named
    return found


def in_words(patterns: str | Sequence[str]) -> str:
    """Return the value of `runs` as it is typed."""
    return patterns if isinstance(patterns, str) else f"[{','.join(patterns)}]"


def _trainings(path: Path) -> list[RunFolder]:
    """Return the trainings of a sweep. Where it cannot be read, the log warns and the other sweeps are read."""
    try:
        return SweepFolder(path).trainings()
    except DataError as error:
        log.warning("%s; this sweep is left out", error)
        return []
