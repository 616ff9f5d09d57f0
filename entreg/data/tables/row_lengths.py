"""Whether every row of a table has as many values as its header: a reader of tables would fill up short rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from entreg.data.tables.header import Header
from entreg.data.tables.streams import opened, undecodable
from entreg.errors import DataError, brief

PART = 1 << 20  # bytes that are looked at together
LINE_END, QUOTE = ord("\n"), ord('"')


def check(path: Path, header: Header, encoding: str | None) -> None:
    """Raise a DataError that names the first row with another number of values than the header, or a NUL byte."""
    with below(path, header, encoding) as file:
        regular = header.separator != " " and _are_regular(file, ord(header.separator), len(header.names) - 1)
    if not regular:
        for line, values in rows(path, header, encoding):
            if len(values) != len(header.names):
                raise DataError(
                    f"{path}, line {line}: the row has {len(values)} values and the header {len(header.names)}; "
                    "correct the row or leave it out"
                )


def below(path: Path, header: Header, encoding: str | None) -> BinaryIO:
    """Return the rows below the header as a stream of UTF-8."""
    file = opened(path, encoding)
    for _ in range(header.lines):
        file.readline()
    return file


def rows(path: Path, header: Header, encoding: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line, from 1, and the values of each row, one by one: slowly. Blank lines are no rows.

    Raises a DataError where a line cannot be read.
    """
    with io.TextIOWrapper(below(path, header, encoding), encoding="utf-8", newline="") as text:
        if header.separator == " ":
            split = ((number, line.split()) for number, line in enumerate(text, start=1))
        else:
            reader = csv.reader(text, delimiter=header.separator, skipinitialspace=True)
            split = ((reader.line_num, values) for values in reader)
        number = 0
        try:
            for number, values in split:  # noqa: B007  # told where the next line cannot be read
                if "\0" in "".join(values):
                    raise csv.Error("line contains NUL")
                if values:
                    yield header.lines + number, values
        except UnicodeDecodeError:
            raise undecodable(path) from None
        except csv.Error as error:
            line = header.lines + (number if header.separator == " " else reader.line_num)
            raise DataError(f"{path}, line {line}: {brief(error)}; save it as CSV, without NUL bytes") from error


def _are_regular(file: BinaryIO, separator: int, separators: int) -> bool:
    """Return whether each line that is not blank has this number of separators outside quotes, and no byte is NUL."""
    within_quotes, before, length = False, 0, 0  # of the line that the part before left open
    while content := file.read(PART):
        part = np.frombuffer(content.replace(b"\r", b"\n") if b"\r" in content else content, dtype=np.uint8)
        mark = (part == separator) | (part == LINE_END)
        if b'"' in content or within_quotes:
            inside = np.logical_xor(np.cumsum(part == QUOTE) % 2, within_quotes)
            mark &= ~inside
            within_quotes = bool(inside[-1])
        marks = np.flatnonzero(mark)
        ends = np.flatnonzero(part[marks] == LINE_END)
        counts = np.diff(ends, prepend=-1) - 1
        lengths = np.diff(marks[ends], prepend=-1) - 1
        if len(ends):
            counts[0] += before
            lengths[0] += length
            before, length = len(marks) - ends[-1] - 1, len(part) - marks[ends[-1]] - 1
        else:
            before, length = before + len(marks), length + len(part)
        if b"\0" in content or ((counts != separators) & (lengths > 0)).any():
            return False
    return not within_quotes and (before == separators or length == 0)
