"""Tables that are in memory: what readers of other formats than text hand on."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from entreg.config.tables import TableText
from entreg.data.tables.header import same
from entreg.data.tables.text import DECIMALS, MISSING, is_number
from entreg.errors import DataError


@dataclass(frozen=True)
class MemoryTable:
    """Rows of values, which are texts, numbers or None, below the names of their columns; lines: where they stand."""

    path: Path
    names: Sequence[str]
    rows: Sequence[Sequence[Any]]
    lines: Sequence[int]
    text: TableText

    def column(self, name: str) -> int | None:
        """Return the index of a column; None where there is none."""
        return next((i for i, one in enumerate(self.names) if same(one) == same(name)), None)

    def read(self, numbers: Collection[int], texts: Collection[int]) -> dict[int, Any]:
        """Return columns by their index: numbers as (n,) float64, NaN where missing, texts as pandas Categoricals.

        Raises a DataError that names the first line with something else where a finite number belongs.
        """
        found: dict[int, Any] = {
            i: np.array(
                [self._number(row[i], i, line) for row, line in zip(self.rows, self.lines, strict=True)], np.float64
            )
            for i in numbers
        }
        for i in texts:
            values = ["" if row[i] is None else str(row[i]).strip() for row in self.rows]
            found[i] = pd.Categorical(values, categories=list(dict.fromkeys(values)))
        return found

    def line_of(self, row: int) -> int:
        """Return the line of a row, from 0."""
        return self.lines[row]

    def _number(self, value: Any, i: int, line: int) -> float:
        text = "" if value is None else str(value).strip()
        if text in MISSING or text in self.text.missing:
            return math.nan
        decimal = DECIMALS[self.text.decimal] if self.text.decimal else "," if "," in text else "."
        if not is_number(text, decimal):
            what = f"{self.names[i]} is {text[:40]!r}, not a finite number; leave out such rows"
            raise DataError(f"{self.path}, line {line}: {what}")
        return float(text.replace(decimal, "."))
