"""Opens a file as the table that it is: as text, as a spreadsheet, or by the module that a preset names."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

from entreg.config.tables import TableData
from entreg.data.tables import text
from entreg.data.tables.presets import Form
from entreg.errors import DataError


class Source(Protocol):
    """A table that was opened."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def names(self) -> Sequence[str]:
        """The names of the columns, as they are written."""

    def column(self, name: str) -> int | None:
        """Return the index of a column; None where there is none."""

    def read(self, numbers: Collection[int], texts: Collection[int]) -> dict[int, Any]:
        """Return columns by their index: numbers as (n,) float64, NaN where missing, texts as pandas Categoricals."""

    def line_of(self, row: int) -> int:
        """Return the line, from 1, of a row, from 0."""


def open_form(path: Path, settings: TableData, forms: Sequence[Form]) -> tuple[Source, Form]:
    """Return the table in a file and the form that it has, the first one of `forms` whose columns are there.

    A form with a reader of its own is tried first: `open_table(path, settings, form)` of its module returns the table
    and the form, whose frame it may complete, or None where the file has another form. Raises a DataError where the
    file has none of the forms, or one that holds no fixations.
    """
    for form in forms:
        if form.reader != "text":
            module = importlib.import_module(f"entreg.data.tables.{form.reader}")
            opened: tuple[Source, Form] | None = module.open_table(path, settings, form)
            if opened is not None:
                return opened
    of_text = [form for form in forms if form.reader == "text"]
    if not of_text:
        raise DataError(f"{path} is not of the form that data.table={settings.table} reads ({forms[0].software})")
    source = open_file(path, settings, [names for form in of_text for names in _wanted(form)])
    form = next(form for form in of_text if any(_has(source, names) for names in _wanted(form)))
    if form.refuse:
        raise DataError(f"{path}: {form.refuse}")
    return source, form


def open_file(path: Path, settings: TableData, wanted: Sequence[Collection[str]]) -> Source:
    """Return the text or spreadsheet in a file, with the columns of one entry of `wanted`. Raises a DataError."""
    if path.suffix.lower() == ".xlsx":
        from entreg.data.tables import spreadsheet

        return spreadsheet.open_table(path, settings.text, wanted)
    return text.open_table(path, settings.text, wanted)


def _wanted(form: Form) -> list[tuple[str, ...]]:
    """Return the sets of columns of which a table of this form has one: each version may have other names."""
    alternatives = [form.columns.get(role, (role,)) for role in form.required]
    return [(*names, *form.filter, *form.key) for names in itertools.product(*alternatives)]


def _has(source: Source, names: Collection[str]) -> bool:
    return all(source.column(name) is not None for name in names)
