"""The newest sweep: the one whose runs were started, or whose jobs were submitted, last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from entreg.errors import DataError
from entreg.runs.folder import RunFolder, SweepFolder


def newest(sweeps: Sequence[SweepFolder]) -> SweepFolder:
    """Return the newest of these sweeps, of which there is one at least.

    What runs and submissions have recorded counts. Of a sweep that holds no such record, as one that version 0.2.0
    began, there are only the times of files, which copying changes; a time that is yet to come counts as none.
    """
    return max(sweeps, key=_begun_at)


def _begun_at(sweep: SweepFolder) -> float:
    """Return when the sweep was last begun, in seconds since the epoch."""
    recorded = [seconds for run in _runs(sweep) if (seconds := _started_at(run)) is not None]
    with suppress(DataError, ValueError):
        recorded += [_seconds(at) for at in sweep.submitted_at()[-1:]]
    finals = [run.final for run in _runs(sweep)]
    return max(recorded) if recorded else max(map(_changed_at, (sweep.jobs, sweep.multirun, *finals)))


def _runs(sweep: SweepFolder) -> Iterator[RunFolder]:
    """Yield the folders of the sweep's runs, without reading their configs."""
    try:
        planned = [sweep.path / run.folder for run in sweep.read_jobs() or []]
    except DataError:
        planned = []
    for path in dict.fromkeys([*planned, *sweep.path.glob("*")]):
        if path != sweep.evaluation.path:
            yield RunFolder(path)


def _started_at(run: RunFolder) -> float | None:
    try:
        return _seconds(run.starts()[-1]["started"])
    except (DataError, LookupError, TypeError, ValueError):
        return None


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def _changed_at(path: Path) -> float:
    changed = path.stat().st_mtime if path.is_file() else 0.0
    return changed if changed <= time.time() else 0.0
