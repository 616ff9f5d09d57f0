"""Tobii Pro Lab's export of glasses: places on snapshots, each of which has columns of its own.

    Recording timestamp    Mapped eye movement type [shelf]    Mapped eye movement type index [shelf]
    Mapped fixation X [shelf]    Mapped fixation Y [shelf]          pixels of the snapshot, on each sample of a fixation

One moment may be mapped to several snapshots, on each of which it is a fixation. `Fixation point X` of such a file is a
place in the scene camera's picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from entreg.config.tables import TableData
from entreg.data.tables import readers
from entreg.data.tables.memory_table import MemoryTable
from entreg.data.tables.presets import Form
from entreg.errors import DataError

SNAPSHOT = re.compile(r"Mapped fixation X \[(.+)\]", re.IGNORECASE)
TYPE, INDEX = "Eye movement type", "Eye movement type index"
NAMES = ("image", "x", "y", TYPE, INDEX)


def open_table(path: Path, settings: TableData, form: Form) -> tuple[MemoryTable, Form] | None:
    """Return the samples that are mapped to a snapshot; None where the file has no snapshot.

    Raises a DataError where nothing says which samples make a fixation.
    """
    try:
        source = readers.open_file(path, settings, [(name,) for name in form.columns["start"]])
    except DataError:
        return None
    snapshots = [found[1] for name in source.names if (found := SNAPSHOT.fullmatch(name))]
    if not snapshots:
        return None
    beside = [i for role in ("start", "duration", "subject", "trial") for i in _first(source, form.columns[role])]
    texts = [i for i in beside if source.names[i] in (*form.columns["subject"], *form.columns["trial"])]
    rows = [row for name in snapshots for row in _samples(source, name, beside, texts)]
    first = source.line_of(0) if rows else 1
    names = [*NAMES, *(source.names[i] for i in beside)]
    return MemoryTable(path, names, [row for _, row in rows], [first + i for i, _ in rows], settings.text), form


def _first(source: readers.Source, names: tuple[str, ...]) -> list[int]:
    """Return the index of the first column with one of these names, in a list; [] where there is none."""
    return [i for name in names if (i := source.column(name)) is not None][:1]


def _samples(
    source: readers.Source, snapshot: str, beside: list[int], texts: list[int]
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the samples on a snapshot: the number of the row, and its values."""
    places = [i for side in "XY" for i in _first(source, (f"Mapped fixation {side} [{snapshot}]",))]
    told = [i for name in (TYPE, INDEX) for i in _first(source, (f"Mapped {name.lower()} [{snapshot}]", name))]
    if len(places) < 2 or len(told) < 2:
        raise DataError(
            f"{source.path}: the snapshot {snapshot} lacks one of the columns Mapped fixation X and Y, Mapped eye "
            "movement type and Mapped eye movement type index; export them"
        )
    columns = source.read(sorted({*places, *beside} - {*texts}), sorted({*told, *texts}))
    x, y = (columns[i] for i in places)
    for row in np.flatnonzero(~(np.isnan(x) | np.isnan(y))):
        others = (columns[i][row] for i in (*told, *beside))
        yield int(row), (snapshot, x[row], y[row], *others)
