"""What differs between finished runs, or what was made of them, and the data, weights and sums that they recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from entreg.config import Config
from entreg.errors import UserError
from entreg.evaluation.find_runs import find, places
from entreg.io import digests, sums
from entreg.runs.folder import RunFolder
from entreg.study import changed_sets
from entreg.study.finished_run import read
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache


def found(patterns: str | Sequence[str] | None) -> tuple[list[RunFolder], list[RunFolder]]:
    """Return finished trainings, and the evaluations and predictions that were made of them.

    Raises a UserError where there is no finished training.

    patterns: as in `find`, or an evaluation or a prediction, which stands for its runs
    """
    named = [place for place in map(RunFolder, places(patterns) if patterns else []) if _is_made(place)]
    runs = {Path(run): None for place in named for run in _runs_of(place)}
    if not runs:
        runs = dict.fromkeys(run.path for run in find(patterns)[0])
    known = {run.resolve() for run in runs}
    others = map(RunFolder, sorted(Path("outputs").glob("*")))
    names = {place.path.resolve() for place in named}
    made = named + [place for place in others if _is_made(place) and place.path.resolve() not in names]
    return [RunFolder(run) for run in runs], [place for place in made if place in named or _is_of(place, known)]


def of_run(folder: RunFolder, composed: Config, typed: Sequence[str], cache: StudyCache) -> list[str]:
    """Return what differs between a training and its files, data and weights: a line for each difference.

    composed, typed: see `finished_run.read`
    """
    try:
        run = read(folder, composed, typed)  # which compares config, sums and parameters
        folder.read_plan()
        study = Study(run.config, cache)
        recorded = changed_sets.recorded(folder, run.state["fingerprints"])
        weights = study.recipe.weights_sha256
    except UserError as error:
        return [f"{folder}: {error}"]
    lines = []
    if weights != run.state["fingerprints"].get("weights"):
        lines.append(f"{folder}: the backbone's weights are not those that it was trained with")
    if not recorded:
        lines.append(f"{folder}: it recorded no fingerprints of its data, so that these cannot be verified")
    for key, then in recorded.items():
        if key not in study.config.data_sets:  # it was left out by what was typed
            continue
        try:
            now = cache.fingerprint(study.config.data_sets[key])
        except UserError as error:
            lines.append(f"{folder}: {key}: {error}")
        else:
            changes = then.changes(now, trained_on=changed_sets.is_trained_on(key))
            lines += [f"{folder}: {key} ({study.config.data_sets[key].root}): {change.words}" for change in changes]
    return lines


def of_made(folder: RunFolder) -> list[str]:
    """Return what differs between an evaluation or a prediction, its sums and the runs that it was made of."""
    try:
        if not folder.sums.is_file():
            return [f"{folder}: there is no {folder.sums.name}, so that it cannot be verified"]
        differing = sums.differing(folder.path, sums.read(folder.sums))
        lines = [f"{folder.path / name} {what} after it was written" for name, what in differing.items()]
        for run, digest in _runs_of(folder).items():
            final = RunFolder(Path(run)).final
            if not final.is_file() or digests.sha256(final) != digest:
                lines.append(f"{folder}: {final} is not the checkpoint that it was made of")
        return lines
    except UserError as error:
        return [f"{folder}: {error}"]


def _is_made(folder: RunFolder) -> bool:
    return any(path.is_file() for path in (folder.sums, folder.results, folder.report, folder.predictions_table))


def _is_of(folder: RunFolder, runs: set[Path]) -> bool:
    """Return whether it was made of any of these runs, or does not tell any longer what it was made of."""
    made_of = {Path(run).resolve() for run in _runs_of(folder)}
    return bool(runs & made_of) or folder.sums.is_file() and not made_of


def _runs_of(folder: RunFolder) -> dict[str, str]:
    """Return the SHA-256 of the final checkpoints that an evaluation or a prediction was made of, by run."""
    try:
        starts = folder.starts()
    except UserError:  # it is named as changed
        return {}
    runs: Any = starts[-1].get("runs") if starts else None
    return {str(run): str(digest) for run, digest in runs.items()} if isinstance(runs, dict) else {}
