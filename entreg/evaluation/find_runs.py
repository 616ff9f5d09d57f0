"""Find the finished trainings that are evaluated."""

from __future__ import annotations

import glob
import logging
import time
from datetime import datetime
from pathlib import Path

from entreg.errors import DataError, UserError
from entreg.runs.folder import RunFolder, SweepFolder

log = logging.getLogger(__name__)


def find(pattern: str | None) -> tuple[list[RunFolder], list[RunFolder]]:
    """Return the finished trainings, and those left out because they have not finished or not even started.

    Raises a UserError that says what to type where no training has finished.

    pattern: a run, a sweep, or a glob of either; None: the newest sweep under multirun/ with a finished training, else
        the trainings under outputs/
    """
    if pattern is not None:
        places = sorted(Path(place) for place in glob.glob(str(Path(pattern).expanduser())))  # noqa: PTH207  # ~ and / too
        if not places:
            raise UserError(f"runs={pattern}: there is no such folder (seen from {Path.cwd()})")
        folders = [folder for place in places for folder in SweepFolder(place).trainings()]
        finished = [folder for folder in folders if folder.is_trained]
        if not finished:
            raise UserError(f"runs={pattern}: there is no finished training ({len(folders)} unfinished)")
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
