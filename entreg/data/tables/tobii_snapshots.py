"""Tobii Pro Lab's export of glasses: places on snapshots, each of which has columns of its own.

    Recording timestamp    Mapped eye movement type [shelf]    Mapped eye movement type index [shelf]
    Mapped fixation X [shelf]    Mapped fixation Y [shelf]          pixels of the snapshot, on each sample of a fixation

One moment may be mapped to several snapshots, on each of which it is a fixation. `Fixation point X` of such a file is a
place in the scene camera's picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
    names = [found[1] for name in source.names if (found := SNAPSHOT.fullmatch(name))]
    if not names:
        return None
    snapshots = {name: _columns(source, name) for name in names}
    beside = [i for role in ("start", "duration", "subject", "trial") for i in _first(source, form.columns[role])]
    texts = {i for i in beside if source.names[i] in (*form.columns["subject"], *form.columns["trial"])}
    texts |= {i for _, _, *told in snapshots.values() for i in told}
    values = source.read(sorted({*beside, *(i for at in snapshots.values() for i in at)} - texts), sorted(texts))
    rows = [row for name, at in snapshots.items() for row in _samples(values, name, at, beside)]
    first = source.line_of(0) if rows else 1
    names = [*NAMES, *(source.names[i] for i in beside)]
    return MemoryTable(path, names, [row for _, row in rows], [first + i for i, _ in rows], settings.text), form


def _first(source: readers.Source, names: tuple[str, ...]) -> list[int]:
    """Return the index of the first column with one of these names, in a list; [] where there is none."""
    return [i for name in names if (i := source.column(name)) is not None][:1]


def _columns(source: readers.Source, snapshot: str) -> list[int]:
    """Return the indices of a snapshot's x and y, and of the type and index that say which samples make a fixation."""
    places = [i for side in "XY" for i in _first(source, (f"Mapped fixation {side} [{snapshot}]",))]
    told = [i for name in (TYPE, INDEX) for i in _first(source, (f"Mapped {name.lower()} [{snapshot}]", name))]
    if len(places) < 2 or len(told) < 2:
        raise DataError(
            f"{source.path}: the snapshot {snapshot} lacks one of the columns Mapped fixation X and Y, Mapped eye "
            "movement type and Mapped eye movement type index; export them"
        )
    return [*places, *told]


def _samples(
    values: Mapping[int, Any], snapshot: str, columns: Sequence[int], beside: Sequence[int]
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the samples on a snapshot: the number of the row, and its values."""
    x, y = (values[i] for i in columns[:2])
    for row in np.flatnonzero(~(np.isnan(x) | np.isnan(y))):
        yield int(row), (snapshot, *(values[i][row] for i in (*columns, *beside)))
