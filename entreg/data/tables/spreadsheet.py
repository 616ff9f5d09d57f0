"""Tables of the first sheet of an .xlsx file, read by openpyxl."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path

from entreg.config.tables import TableText
from entreg.data.tables.header import same
from entreg.data.tables.memory_table import MemoryTable
from entreg.errors import DataError, UserError, brief


def open_table(path: Path, text: TableText, wanted: Sequence[Collection[str]]) -> MemoryTable:
    """Return the first sheet's rows below the first row that has all columns of one entry of `wanted`.

    Raises a DataError where no row has, or the file cannot be read, and a UserError where openpyxl is not installed.
    """
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise UserError(
            f"{path} is a spreadsheet, which the package openpyxl reads: pip install openpyxl. Or save it as CSV"
        ) from error
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as a spreadsheet: {brief(error)}; save it again, or as CSV") from error
    sets = [{same(name) for name in names} for names in wanted]
    for line, row in enumerate(rows, start=1):
        names = ["" if name is None else str(name).strip() for name in row]
        if any(one <= {same(name) for name in names} for one in sets):
            below = [
                (number, values) for number, values in enumerate(rows[line:], start=line + 1) if _any_value(values)
            ]
            return MemoryTable(path, names, [values for _, values in below], [number for number, _ in below], text)
    first = ", ".join("" if name is None else str(name) for name in rows[0])[:100] if rows else ""
    raise DataError(
        f"{path} has no row that names the columns {', '.join(wanted[0])}: its first one is {first!r}; add it"
    )


def _any_value(values: Sequence[object]) -> bool:
    """Return whether a row holds anything."""
    return any(value is not None and value != "" for value in values)
