"""SMI BeGaze's event files: several tables in one, whose headers stand above all rows.

    Table Header for Fixations:
    Event Type,Trial,Number,Start,End,Duration,Location X,Location Y,...       us, pixels
    Fixation L,1,1,167531377718,167531619504,241786,951.83,791.40,...
    UserEvent,1,1,167531000000,# Message: face.png                             a picture appears

Where no message names a picture, it is the stimulus of the head (`Stimulus:`).
"""

from __future__ import annotations

import re
from pathlib import Path

from entreg.config.tables import TableData
from entreg.data.tables.header import same
from entreg.data.tables.memory_table import MemoryTable
from entreg.data.tables.presets import Form
from entreg.data.tables.shown_pictures import Shown
from entreg.data.tables.streams import opened
from entreg.data.tables.text import is_number
from entreg.errors import DataError

NAMES = ("image", "trial", "start", "subject", "eye", "duration", "x", "y")
HEADER = "Table Header for Fixations:"
WANTED = ("Start", "End", "Duration", "Location X", "Location Y")
MESSAGE = "# Message: (.+)"
TIME = 3  # index of a message's time


def open_table(path: Path, settings: TableData, form: Form) -> tuple[MemoryTable, Form] | None:
    """Return the fixations of an event file, `start` being us since the picture appeared; None for other files.

    Raises a DataError where a column is missing, or nothing names a picture.
    """
    with opened(path, settings.text.encoding) as file:
        lines = [line.decode(errors="replace").strip("\r\n") for line in file]
    stripped = [line.strip() for line in lines]
    if HEADER not in stripped:
        return None
    header = next(line for line in lines[stripped.index(HEADER) + 1 :] if line.strip())
    separator = "\t" if "\t" in header else ","
    names = [same(name) for name in header.split(separator)]
    absent = [name for name in WANTED if same(name) not in names]
    if absent:
        raise DataError(f"{path}: the table of fixations has no column {', '.join(absent)}; export them")
    start, end, duration, x, y = (names.index(same(name)) for name in WANTED)
    head = dict(re.findall(r"^(\w+):\s*(.*?)\s*$", "\n".join(lines[: stripped.index(HEADER)]), re.MULTILINE))
    rows = [(number, line.split(separator)) for number, line in enumerate(lines, start=1) if line.strip()]
    shown: list[tuple[float, str | None]] = [(0.0, head.get("Stimulus"))]
    for _, values in rows:
        found = re.search(settings.message or MESSAGE, separator.join(values[TIME + 1 :]))
        if values[0] == "UserEvent" and len(values) > TIME and values[TIME].isdecimal() and found:
            shown.append((float(values[TIME]), found[1].strip()))
    if not any(name for _, name in shown):
        raise DataError(f"{path}: neither a message nor the head names a picture; give data.message=PATTERN")
    pictures = Shown(shown)
    fixations = [(number, values) for number, values in rows if values[0].startswith("Fixation") and len(values) > y]
    for number, values in fixations:
        if not (is_number(values[start], ".") and is_number(values[end], ".")):
            raise DataError(f"{path}, line {number}: the fixation has no start and end in us; leave such rows out")
    person = head.get("Subject", path.stem)
    content = [
        (*pictures.of(float(v[start]), float(v[end])), person, v[0].rpartition(" ")[2], v[duration], v[x], v[y])
        for _, v in fixations
    ]
    return MemoryTable(path, NAMES, content, [number for number, _ in fixations], settings.text), form
