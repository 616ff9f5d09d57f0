"""Find the finished trainings that are evaluated."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from glob import glob
from pathlib import Path

from entreg.errors import DataError, UserError
from entreg.runs.folder import RunFolder, SweepFolder

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
        sweeps = [_trainings(path) for path in Path("multirun").glob("*")]
        sweeps = [sweep for sweep in sweeps if any(folder.is_trained for folder in sweep)]
        folders = max(sweeps, key=_begun_at) if sweeps else SweepFolder(Path("outputs")).trainings()
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


def _begun_at(folders: list[RunFolder]) -> float:
    """Return when the last of a sweep's finished trainings was last started, in seconds since the epoch.

    The run's own record counts. Of one that version 0.2.0 started there is only the time of a file, which copying
    changes; a time that is yet to come counts as none.
    """
    return max(_recorded(folder) or _of_file(folder.final) for folder in folders if folder.is_trained)


def _recorded(folder: RunFolder) -> float | None:
    try:
        return datetime.fromisoformat(folder.starts()[-1]["started"]).timestamp()
    except (DataError, LookupError, TypeError, ValueError):
        return None


def _of_file(path: Path) -> float:
    changed = path.stat().st_mtime
    return changed if changed <= time.time() else 0.0
