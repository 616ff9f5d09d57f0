"""Which finished trainings are judged."""

from __future__ import annotations

import glob
import logging
import os
from pathlib import Path

from entreg.errors import DataError, UserError
from entreg.run.folder import RunFolder, SweepFolder

log = logging.getLogger(__name__)


def find(pattern: str | None) -> tuple[list[RunFolder], list[RunFolder]]:
    """Finished trainings, and those left out since they are not finished or not even started.

    pattern: a run, a sweep, or a glob of either; None: the newest sweep under multirun/ with a finished training, else
    the trainings under outputs/. UserError with what to type where there is none.
    """
    if pattern is not None:
        places = sorted(Path(place) for place in glob.glob(os.path.expanduser(pattern)))
        if not places:
            raise UserError(f"runs={pattern}: there is no such folder (seen from {Path.cwd()})")
        folders = [folder for place in places for folder in SweepFolder(place).trainings()]
        finished = [folder for folder in folders if folder.is_trained]
        if not finished:
            raise UserError(f"runs={pattern}: no finished training there ({len(folders)} unfinished)")
    else:
        sweeps = [_trainings(path) for path in Path("multirun").glob("*")]
        sweeps = [sweep for sweep in sweeps if any(folder.is_trained for folder in sweep)]
        folders = max(sweeps, key=_finished_at) if sweeps else SweepFolder(Path("outputs")).trainings()
        finished = [folder for folder in folders if folder.is_trained]
        if not finished:
            raise UserError(
                f"There is no finished training under multirun/ or outputs/ of {Path.cwd()} to evaluate. "
                "Train one with\n  python train.py -m loss=nll,nll_entropy"
            )
    return finished, [folder for folder in folders if folder not in finished]


def _trainings(path: Path) -> list[RunFolder]:
    """Of one of the sweeps that lie about; one that cannot be read keeps nobody from the others."""
    try:
        return SweepFolder(path).trainings()
    except DataError as error:
        log.warning("%s; left out", error)
        return []


def _finished_at(folders: list[RunFolder]) -> float:
    return max(folder.final.stat().st_mtime for folder in folders if folder.is_trained)
