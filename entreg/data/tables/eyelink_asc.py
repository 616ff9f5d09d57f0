"""EyeLink recordings as text (.asc, written by edf2asc): fixations, and the pictures that messages name.

    MSG 1000 !V IMGLOAD FILL face.png                  data.message finds the picture; it is shown from here on
    EVENTS GAZE LEFT RIGHT RATE 500.00 ...             what the places of events are: GAZE or HREF, with RES or without
    EFIX L 1204 1400 198  505.0  398.0  1102           eye, start, end, duration (ms), x, y, pupil
    END 3000 SAMPLES EVENTS ...                        the picture is gone

With HREF the angles stand before x and y, and with RES the resolution after the pupil. EFIX lines stand by the END of
their fixation, so a fixation belongs to the picture on which it started, or is marked as begun before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from entreg.config.tables import TableData
from entreg.data.tables.memory_table import MemoryTable
from entreg.data.tables.presets import Form
from entreg.data.tables.shown_pictures import Shown
from entreg.data.tables.streams import opened
from entreg.errors import DataError

NAMES = ("image", "trial", "start", "eye", "duration", "x", "y")
PUPIL, RESOLUTION = 1, 2  # values after x and y


@dataclass(frozen=True)
class _Fixation:
    line: int
    eye: str
    start: float
    end: float
    duration: str
    x: str
    y: str


def open_table(path: Path, settings: TableData, form: Form) -> tuple[MemoryTable, Form]:
    """Return the fixations of a recording, `start` being ms since the picture appeared.

    A fixation that lasts until the next picture is on that picture, with a negative start. Raises a DataError where no
    message names a picture, or where EFIX lines do not show which of their values are pixels.
    """
    fixations: list[_Fixation] = []
    shown: list[tuple[float, str | None]] = []  # since when which picture, or none, is shown
    messages: list[str] = []
    events: list[str] | None = None
    for number, line in _lines(path, settings):
        kind, *values = line.split(None, 2) or [""]
        if kind == "EVENTS":
            events = line.split()
        elif kind == "MSG" and len(values) == 2 and _is_number(values[0]):
            messages.append(values[1])
            found = re.search(settings.message or "", values[1])
            if found:
                shown.append((float(values[0]), found[1]))
        elif kind == "END" and values and _is_number(values[0]):
            shown.append((float(values[0]), None))
        elif kind == "EFIX":
            fixations.append(_fixation(path, number, line.split()[1:], events))
    if not any(name for _, name in shown):
        first = "; ".join(repr(message.strip()[:60]) for message in messages[:5]) or "there is none"
        raise DataError(f"{path}: no message has the form data.message={settings.message}; the first ones are {first}")
    pictures = Shown(shown)
    rows = [(*pictures.of(f.start, f.end), f.eye, f.duration, f.x, f.y) for f in fixations]
    return MemoryTable(path, NAMES, rows, [fixation.line for fixation in fixations], settings.text), form


def _lines(path: Path, settings: TableData) -> Iterator[tuple[int, str]]:
    with opened(path, settings.text.encoding) as file:
        for number, line in enumerate(file, start=1):
            yield number, line.decode(errors="replace")  # messages may hold anything


def _fixation(path: Path, line: int, values: list[str], events: list[str] | None) -> _Fixation:
    eye, start, end, duration, *_ = [*values, "", "", "", ""]
    rest = values[4:]
    more = len(rest) - 2 - PUPIL  # than x, y and pupil
    has_angles = events is not None and "HREF" in events
    if events is not None and "RES" in events:
        more -= RESOLUTION
    if not (_is_number(start) and _is_number(end)) or more != (2 if has_angles and more else 0):
        known = "no line EVENTS says which" if events is None else f"{' '.join(events)} allows another number"
        raise DataError(
            f"{path}, line {line}: EFIX has {len(values)} values, and {known}; write the file again with edf2asc, with "
            "the gaze position of events"
        )
    if has_angles and not more:
        raise DataError(
            f"{path}, line {line}: the places of fixations are angles (EVENTS HREF), not pixels of the screen; write "
            "the file again with edf2asc, with the gaze position of events"
        )
    return _Fixation(line, eye, float(start), float(end), duration, rest[more], rest[more + 1])


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d*)?", text) is not None
