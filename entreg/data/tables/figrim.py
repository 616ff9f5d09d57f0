"""FIGRIM's allImages_release.mat and allImages_fillers.mat (Bylinskii et al. 2015): one structure for each image.

allImages(i).filename
allImages(i).userdata(k).fixations.enc, .rec, .rec2   (n, 2) x and y in pixels of the image of 1000 x 1000

`enc` is the first time that a person sees the image, rec and rec2 are its repetitions in a memory task. There are no
durations, and most people have seen only some of the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from entreg.config.tables import TableData
from entreg.data import matlab
from entreg.data.tables.memory_table import MemoryTable
from entreg.data.tables.presets import Form

NAMES = ("image", "subject", "phase", "order", "x", "y")
PHASES = ("enc", "rec", "rec2")


def open_table(path: Path, settings: TableData, form: Form) -> tuple[MemoryTable, Form]:
    """Return the fixations of all phases. Raises a DataError where the file is not FIGRIM's."""
    rows = matlab.rows_of_structures(path, "allImages", _fixations)
    return MemoryTable(path, NAMES, rows, range(1, len(rows) + 1), settings.text), form


def _fixations(image: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for number, person in enumerate(matlab.as_list(image["userdata"]), start=1):
        if not isinstance(person["fixations"], dict):
            continue  # this person has not seen the image
        for phase in PHASES:
            places = np.asarray(person["fixations"][phase], dtype=float).reshape(-1, 2)
            for order, (x, y) in enumerate(places):
                yield image["filename"], f"S{number:02d}", phase, order, x, y
