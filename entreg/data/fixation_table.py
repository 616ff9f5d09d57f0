"""Tables of fixations: CSV files in UTF-8 with one row per fixation, read into columns of numbers.

Reading ten million rows of six columns (303 MB) takes 25 s and 0.5 GB.
"""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entreg.data.dataset import natural_order
from entreg.errors import DataError, brief

REQUIRED, OPTIONAL = ("image", "x", "y"), ("subject", "order")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # the first bytes of a file in UTF-16


@dataclass(frozen=True)
class Table:
    """The columns of a table of n fixations.

    names: the names of the images, each with the line that mentions it first
    image: (n,) index into names
    x, y: (n,) finite
    subject: (n,) index of the person, in natural order of the names; None without such a column
    order: (n,) finite; None without such a column
    """

    names: dict[str, int]
    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    subject: np.ndarray | None
    order: np.ndarray | None

    def __len__(self) -> int:
        return len(self.x)

    def repeated(self) -> int:
        """Return the number of rows that repeat the image, subject and order of another; 0 without these columns."""
        if self.subject is None or self.order is None or not len(self):
            return 0
        trial = self.image * (self.subject.max() + 1) + self.subject
        rows = np.lexsort((self.order, trial))
        return int(((np.diff(trial[rows]) == 0) & (np.diff(self.order[rows]) == 0)).sum())


def read(path: Path) -> Table:
    """Return the columns image, x, y and, where they exist, subject and order. Other columns are ignored.

    Raises a DataError where the file is not UTF-8, a column is missing or occurs twice, a row has another number of
    values than the header, or a value is not a finite number.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:  # -sig: spreadsheets write a byte order mark
        reader = csv.reader(file, skipinitialspace=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            return _rows(path, reader, header, _columns(path, header))
        except UnicodeDecodeError:
            raise DataError(f"{path}{_undecodable(path)}; save it as CSV in UTF-8") from None
        except csv.Error as error:
            what = f"{brief(error)}; save it as CSV, without NUL bytes"
            raise DataError(f"{path}, line {reader.line_num}: {what}") from error


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Return the index of each column."""
    first = repr(",".join(header)[:100])
    absent = [name for name in REQUIRED if name not in header]
    if absent:
        raise DataError(
            f"{path} has no column {', '.join(absent)}: its first line is {first}, and it must name the columns "
            f"{','.join(REQUIRED)} and, where known, {','.join(OPTIONAL)}, separated by commas"
        )
    known = [name for name in (*REQUIRED, *OPTIONAL) if name in header]
    twice = [name for name in known if header.count(name) > 1]
    if twice:
        raise DataError(f"{path} has the column {', '.join(twice)} twice: its first line is {first}; rename one")
    return {name: header.index(name) for name in known}


def _rows(path: Path, reader: Any, header: list[str], columns: dict[str, int]) -> Table:
    numbers = [(name, at, array("d")) for name, at in columns.items() if name in ("x", "y", "order")]
    image_at, subject_at = columns["image"], columns.get("subject")
    names: dict[str, int] = {}
    lines: list[int] = []
    people: dict[str, int] = {}
    image, subject = array("q"), array("q")
    for row in reader:
        if len(row) != len(header):
            if not row:
                continue
            raise DataError(
                f"{path}, line {reader.line_num}: the row has {len(row)} values and the header {len(header)}; correct "
                "the row or leave it out"
            )
        for name, at, column in numbers:
            column.append(_number(row[at], name, path, reader.line_num))
        number = names.setdefault(row[image_at], len(names))
        if number == len(lines):
            lines.append(reader.line_num)
        image.append(number)
        if subject_at is not None:
            subject.append(people.setdefault(row[subject_at], len(people)))
    values = {name: np.frombuffer(column, dtype=np.float64) for name, _, column in numbers}
    return Table(
        dict(zip(names, lines, strict=True)),
        np.frombuffer(image, dtype=np.int64),
        values["x"],
        values["y"],
        None if subject_at is None else _ranks(list(people))[np.frombuffer(subject, dtype=np.int64)],
        values.get("order"),
    )


def _number(text: str, column: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:  # Python reads 1_5 as 15
        raise DataError(f"{path}, line {line}: {column} is {text[:40]!r}, not a finite number; leave out such rows")
    return value


def _ranks(names: Sequence[str]) -> np.ndarray:
    """Return each name's position in natural order: (n,)."""
    ranks = np.empty(len(names), dtype=np.int64)
    ranks[sorted(range(len(names)), key=lambda i: (natural_order(names[i]), names[i]))] = np.arange(len(names))
    return ranks


def _undecodable(path: Path) -> str:
    """Return what is wrong with a file that is not UTF-8, as the end of a message that begins with its path."""
    with path.open("rb") as file:
        if file.read(2) in UTF_16:
            return " is UTF-16"
        file.seek(0)
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f", line {number}: byte {line[error.start]:#04x} is not UTF-8"
    return " is not UTF-8"
