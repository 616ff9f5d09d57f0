"""Reading a large table of fixations, beside reading it row by row with Python's csv module."""

from __future__ import annotations

import csv
import re
from array import array
from pathlib import Path

from benchmarks.fresh import in_a_fresh_process
from benchmarks.speed import by_turns
from entreg.config.tables import TableData
from entreg.data import fixation_table

ROWS, DISTINCT = 2_000_000, 100_000
KEPT = 5  # of six columns


def measure(folder: Path) -> dict[str, float]:
    """Return the time of reading ROWS rows of six columns, its share of the csv module's, and the memory it needs."""
    path = folder / "fixations.csv"
    rows = "".join(f"{i % 1000}.png,S{i % 50},{i % 7},{i % 640}.25,{i % 480}.5,0.2\n" for i in range(DISTINCT))
    with path.open("w") as file:
        file.write("image,subject,order,x,y,duration_s\n")
        for _ in range(ROWS // DISTINCT):
            file.write(rows)
    seconds = by_turns(
        3, read=lambda: fixation_table.read(TableData(root=str(path.parent))), by_row=lambda: _by_row(path)
    )
    return {
        "table_s_per_million_rows": seconds["read"] / ROWS * 1e6,
        "table_ratio": seconds["read"] / seconds["by_row"],
        "table_bytes_per_value": in_a_fresh_process(_peak_bytes, path) / (ROWS * KEPT),
    }


def _by_row(path: Path) -> int:
    """Read the same columns row by row; return the number of rows."""
    images: dict[str, int] = {}
    people: dict[str, int] = {}
    image, person, numbers = array("q"), array("q"), [array("d") for _ in range(3)]
    with path.open(newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for row in reader:
            image.append(images.setdefault(row[0], len(images)))
            person.append(people.setdefault(row[1], len(people)))
            for column, text in zip(numbers, row[2:5], strict=True):
                column.append(float(text))
    return len(image)


def _peak_bytes(path: Path) -> int:
    """Return the memory that reading needs at most, beyond what the process has before."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak until now, which a new process inherits
    before = _memory_bytes("VmRSS")
    fixation_table.read(TableData(root=str(path.parent)))
    return _memory_bytes("VmHWM") - before


def _memory_bytes(what: str) -> int:
    (kilobytes,) = re.findall(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(kilobytes)
