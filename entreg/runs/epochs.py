"""How far a training has come, read from its tables and its lease alone: in a millisecond, and without PyTorch."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from entreg.io.leases import STALE_S, owner_at
from entreg.runs.folder import RunFolder

RECENT = 5  # epochs whose mean duration the expected end rests on


class Epochs(NamedTuple):
    """The epochs of a training so far.

    planned: of the whole training, None where it is not known yet; seconds: what those done took together
    """

    done: int
    planned: int | None
    seconds: float
    ig_bits: float | None
    expected_end: datetime | None


class Worker(NamedTuple):
    """The process that works on a run, and when it started."""

    host: str
    since: datetime


def epochs_of(folder: RunFolder) -> Epochs:
    """Return how far a training has come; unreadable tables count as no epoch."""
    rows = _rows(folder.metrics)
    durations = [float(row["seconds"]) for row in rows]
    epochs = _planned(folder.config)
    expected_end = None
    if rows and epochs is not None:
        recent = durations[-RECENT:]
        left_s = (epochs - len(rows)) * sum(recent) / len(recent)
        expected_end = datetime.fromtimestamp(folder.metrics.stat().st_mtime) + timedelta(seconds=left_s)
    ig_bits = float(rows[-1]["validation_ig_bits_per_fixation"]) if rows else None
    return Epochs(len(rows), epochs, sum(durations), ig_bits, expected_end)


def worker_of(folder: RunFolder, now: datetime) -> Worker | None:
    """Return the process whose heartbeat goes on, or None where there is none."""
    with suppress(OSError, ValueError):
        beat = datetime.fromtimestamp(folder.owner.stat().st_mtime)
        owner = owner_at(folder.owner)
        if owner is not None and now - beat < timedelta(seconds=STALE_S) and not (owner.is_here and owner.has_ended):
            return Worker(owner.host, datetime.strptime(owner.since, "%Y-%m-%d %H:%M:%S"))
    return None


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            float(row["seconds"]), float(row["validation_ig_bits_per_fixation"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return rows


def _planned(config: Path) -> int | None:
    # reading the YAML of some hundred running trainings would take a minute
    with suppress(OSError, ValueError):
        found = re.search(r"^trainer:\n(?:  .*\n)*?  epochs: (\d+)$", config.read_text(encoding="utf-8"), re.MULTILINE)
        return int(found[1]) if found else None
    return None
