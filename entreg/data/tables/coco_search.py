"""COCO-Search18 and COCO-FreeView: a JSON list with one entry for each trial (Chen et al. 2021, Yang et al. 2023).

[{name: "000000.jpg", subject: 1, task: "car", X: [..], Y: [..], T: [..]}, ...]   pixels of 1680 x 1050, T in ms

The same person may see the same picture in two tasks, so each entry is a trial of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from entreg.config.tables import TableData
from entreg.data.tables.memory_table import MemoryTable
from entreg.data.tables.presets import Form
from entreg.errors import DataError
from entreg.io import files

NAMES = ("image", "subject", "trial", "order", "x", "y", "duration")


def open_table(path: Path, settings: TableData, form: Form) -> tuple[MemoryTable, Form]:
    """Return the fixations of all trials. Raises a DataError where the file is no such list."""
    try:
        rows = [row for number, trial in enumerate(files.read_json(path)) for row in _fixations(number, trial)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is no list of trials with name, subject, X, Y and T ({type(error).__name__} {error}); give the "
            "JSON file of COCO-Search18 or COCO-FreeView"
        ) from error
    return MemoryTable(path, NAMES, rows, range(1, len(rows) + 1), settings.text), form


def _fixations(number: int, trial: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for order, (x, y, duration_ms) in enumerate(zip(trial["X"], trial["Y"], trial["T"], strict=True)):
        yield trial["name"], trial["subject"], number, order, x, y, duration_ms
