"""OSIE's fixations.mat: one cell for each of the 700 images, in it one for each of 15 people (Xu et al. 2014).

fixations{i}.img                                   1001.jpg
fixations{i}.subjects{k}.fix_x, fix_y, fix_duration   pixels of the image of 800 x 600; ms

The first fixation of each trial lies on the mark in the middle, which was there before the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from entreg.config.tables import TableData
from entreg.data import matlab
from entreg.data.tables.memory_table import MemoryTable
from entreg.data.tables.presets import Form

NAMES = ("image", "subject", "order", "x", "y", "duration")


def open_table(path: Path, settings: TableData, form: Form) -> tuple[MemoryTable, Form]:
    """Return the fixations of all trials. Raises a DataError where the file is not OSIE's."""
    rows = matlab.rows_of_structures(path, "fixations", _fixations)
    return MemoryTable(path, NAMES, rows, range(1, len(rows) + 1), settings.text), form


def _fixations(image: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for number, person in enumerate(matlab.as_list(image["subjects"]), start=1):
        columns = (matlab.as_list(person[f"fix_{name}"]) for name in ("x", "y", "duration"))
        for order, (x, y, duration_ms) in enumerate(zip(*columns, strict=True)):
            yield image["img"], f"S{number:02d}", order, x, y, duration_ms
