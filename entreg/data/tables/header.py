"""The line of a table that names its columns: it also shows what separates the values."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from entreg.config.tables import TableText
from entreg.data.tables.streams import opened, undecodable
from entreg.errors import DataError

SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "space": " "}
MOST_LINES = 300  # that a program writes above the names of the columns
COMMENT = "#%"
LONGEST_LINE = 1 << 20  # bytes


@dataclass(frozen=True)
class Header:
    """Where a table begins.

    names: of all columns, as they are written, without blanks around them; '' where a line ends with a separator
    lines: number of lines up to the header, and with it
    separator: the character between two values; a blank stands for any white space
    """

    names: list[str]
    lines: int
    separator: str

    def column(self, name: str) -> int | None:
        """Return the index of a column; None where there is none. Capitals do not matter."""
        known = [same(one) for one in self.names]
        return known.index(same(name)) if same(name) in known else None


def same(name: str) -> str:
    """Return a name in the form in which names of columns are compared."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def find(path: Path, text: TableText, wanted: Sequence[Collection[str]]) -> Header:
    """Return the first line that names all columns of one entry of `wanted`, under the separator that was typed or any.

    Lines above it are comments or say what recorded the table. Raises a DataError where no line does, the columns of
    the first entry being those that are missed.
    """
    sets = [{same(name) for name in names} for names in wanted]
    lines = [(line, number) for number, line in enumerate(_head(path, text.encoding), start=1) if line.strip()]
    separators = list(SEPARATORS.values()) if text.separator is None else [SEPARATORS[text.separator]]
    by_characters = [_split(*line, separator) for line in lines for separator in separators if separator != " "]
    # words of a comment may also be names of columns, so blanks are tried last
    by_blanks = [_split(*line, separator) for line in lines if line[0][0] not in COMMENT for separator in separators]
    for header in (*by_characters, *by_blanks):
        if any(names <= {same(name) for name in header.names} for names in sets):
            return header
    first = [header for header in by_blanks if header.lines == by_blanks[0].lines] or [Header([""], 1, ",")]
    raise _absent(path, max(first, key=lambda header: len(sets[0] & {same(name) for name in header.names})), wanted[0])


def _head(path: Path, encoding: str | None) -> list[str]:
    """Return the first lines of a file."""
    with opened(path, encoding) as file:
        lines = [file.readline(LONGEST_LINE) for _ in range(MOST_LINES)]
    try:
        return [line.decode() for line in lines if line]
    except UnicodeDecodeError:
        if lines[0].isascii():  # the header may be fine, and the reader says where the rest is not
            return [line.decode(errors="replace") for line in lines if line]
        raise undecodable(path) from None


def _split(line: str, number: int, separator: str) -> Header:
    line = line.strip("\r\n")
    try:
        by_quotes = csv.reader([line], delimiter=separator, skipinitialspace=True)
        names = line.split() if separator == " " else next(by_quotes, [])
    except csv.Error:  # the line is no header
        names = [line]
    return Header([name.strip().removeprefix("#").strip() for name in names], number, separator)


def _absent(path: Path, first: Header, wanted: Collection[str]) -> DataError:
    absent = [name for name in wanted if first.column(name) is None]
    written = first.separator.join(first.names)[:100]
    return DataError(
        f"{path} has no column {', '.join(absent)}: its first line is {written!r}, and the columns "
        f"{', '.join(wanted)} are wanted, separated by commas, tabs, semicolons or blanks. data.columns.NAME=COLUMN "
        "names a column that is called otherwise"
    )
