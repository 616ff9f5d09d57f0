"""Tables as text, read by pandas in parts, so that a table of any length needs little more than its columns."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from entreg.config.tables import TableText
from entreg.data.tables import header, row_lengths
from entreg.data.tables.header import Header
from entreg.data.tables.streams import undecodable
from entreg.errors import DataError, brief

log = logging.getLogger(__name__)

MISSING = ("", ".", "-", "NaN", "nan", "NAN", "NA", "N/A", "n/a", "-32768", "-32768.0")
DECIMALS = {"point": ".", "comma": ","}
ROWS = 500_000  # that are read together
# from 3.1 on pandas reads each number as Python does, and warns of being asked to
EXACT = {} if (*map(int, pd.__version__.split(".")[:2]),) >= (3, 1) else {"float_precision": "round_trip"}
WITH_COMMA = re.compile(r"[-+]?\d*,\d+")
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")  # 1,024 may be a thousand as well as one and a bit


@dataclass(frozen=True)
class TextTable:
    """A table of text that was found to have the columns that are wanted."""

    path: Path
    header: Header
    text: TableText

    @property
    def names(self) -> list[str]:
        """The names of the columns, as they are written."""
        return self.header.names

    def column(self, name: str) -> int | None:
        """Return the index of a column; None where there is none. Raises a DataError where there are several."""
        same = [i for i, one in enumerate(self.header.names) if header.same(one) == header.same(name)]
        if len(same) > 1:
            first = self.header.separator.join(self.header.names)[:100]
            raise DataError(f"{self.path} has the column {name} twice: its first line is {first!r}; rename one")
        return same[0] if same else None

    def read(self, numbers: Collection[int], texts: Collection[int]) -> dict[int, Any]:
        """Return columns by their index: numbers as (n,) float64, NaN where missing, texts as pandas Categoricals.

        Raises a DataError that names the first line with another number of values than the header, or with something
        else where a finite number belongs.
        """
        row_lengths.check(self.path, self.header, self.text.encoding)
        typed = self.text.decimal
        decimals = [DECIMALS[typed]] if typed else ["."] if self.header.separator == "," else [".", ","]
        for decimal in decimals:
            try:
                columns = self._read(numbers, texts, decimal)
            except UnicodeDecodeError:
                raise undecodable(self.path) from None
            except pd.errors.ParserError as error:
                raise DataError(f"{self.path}: {brief(error)}; save it as CSV, with each quote closed") from error
            except ValueError:  # a number that is none
                continue
            if decimal == "," and not typed:
                self._refuse_thousands(numbers)
            if (self.header.separator, decimal, self.header.lines) != (",", ".", 1):
                form = self.path, self.header.separator, decimal, self.header.lines
                log.info("%s: separated by %r, decimal sign %r, names of the columns in line %d", *form)
            return columns
        raise self._no_number(numbers, decimals)

    def line_of(self, row: int) -> int:
        """Return the line, from 1, of a row, from 0."""
        return next(line for i, (line, _) in enumerate(self._rows()) if i == row)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        return row_lengths.rows(self.path, self.header, self.text.encoding)

    @property
    def _marks(self) -> list[str]:
        return [*MISSING, *self.text.missing]

    def _read(self, numbers: Collection[int], texts: Collection[int], decimal: str) -> dict[int, Any]:
        """Return the columns. Raises a ValueError where a number is none."""
        parts: dict[int, list[Any]] = {i: [] for i in (*numbers, *texts)}
        known: dict[int, dict[str, int]] = {i: {} for i in texts}
        names = [str(i) for i in range(len(self.header.names))]  # numbers as names are confused with positions
        separator = self.header.separator
        with (
            row_lengths.below(self.path, self.header, self.text.encoding) as file,
            pd.read_csv(
                file,
                sep=r"\s+" if separator == " " else separator,
                decimal=decimal,
                header=None,
                names=names,
                usecols=[names[i] for i in sorted(parts)],
                index_col=False,
                dtype={names[i]: "category" if i in known else "float64" for i in parts},
                na_values={names[i]: self._marks for i in numbers},
                keep_default_na=False,
                skipinitialspace=True,
                chunksize=ROWS,
                low_memory=False,
                **EXACT,
            ) as reader,
        ):
            for part in reader:
                for i, collected in parts.items():
                    column = part[names[i]]
                    collected.append(_codes(column, known[i]) if i in known else _finite(column.to_numpy()))
        columns: dict[int, Any] = {}
        for i in list(parts):  # column by column, so that no second copy of all of them is ever there
            whole = np.concatenate(parts.pop(i) or [np.zeros(0, np.int32 if i in known else np.float64)])
            columns[i] = pd.Categorical.from_codes(whole, list(known[i])) if i in known else whole
        return columns

    def _no_number(self, numbers: Collection[int], decimals: Sequence[str]) -> DataError:
        """Return the error that names the first value that is no number."""
        for line, values in self._rows():
            for i in sorted(numbers):
                text = values[i]
                if text not in self._marks and not any(is_number(text, decimal) for decimal in decimals):
                    name = self.header.names[i]
                    what = f"{name} is {text[:40]!r}, not a finite number; leave out such rows"
                    hint = ", or give data.text.decimal=comma" if WITH_COMMA.fullmatch(text) else ""
                    return DataError(f"{self.path}, line {line}: {what}{hint}")
        return DataError(f"{self.path}: some numbers have a decimal point and some a comma; give all the same sign")

    def _refuse_thousands(self, numbers: Collection[int]) -> None:
        """Raise a DataError where every comma in a number may also separate thousands."""
        first = None
        for line, values in self._rows():
            for text in (values[i].strip() for i in numbers):
                if "," in text and not THOUSANDS.fullmatch(text):
                    return
                first = first or ((line, text) if "," in text else None)
        if first:
            line, text = first
            raise DataError(
                f"{self.path}, line {line}: {text!r} may have a decimal comma or separate thousands; give "
                "data.text.decimal=comma, or write the numbers without a comma"
            )


def open_table(path: Path, text: TableText, wanted: Sequence[Collection[str]]) -> TextTable:
    """Return the table in a file whose header has all columns of one entry of `wanted`.

    Raises a DataError where it has not, or cannot be read.
    """
    return TextTable(path, header.find(path, text, wanted), text)


def _codes(part: pd.Series[Any], known: dict[str, int]) -> np.ndarray:
    """Return the number of each text in `known`, to which new ones are added: (n,) int32."""
    names = [str(name) for name in part.cat.categories]
    codes = part.cat.codes.to_numpy()
    # in the order in which the table mentions them
    for i in pd.unique(codes):
        known.setdefault(names[i], len(known))
    numbers: np.ndarray = np.array([known[name] for name in names], dtype=np.int32)[codes]
    return numbers


def _finite(values: np.ndarray) -> np.ndarray:
    """Return the values. Raises a ValueError where one is infinite; NaN is a missing one."""
    if np.isinf(values).any():
        raise ValueError("infinite")
    return values


def is_number(text: str, decimal: str) -> bool:
    """Return whether a text is a finite number that is written with this decimal sign."""
    if "_" in text or decimal != "." and "." in text:
        return False
    try:
        return math.isfinite(float(text.replace(decimal, ".")))
    except ValueError:
        return False
