"""Tables of fixations: one row per fixation.

Reading ten million rows of six columns (303 MB) takes 5 s and 0.5 GB (`make bench`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from entreg.config.tables import TableText
from entreg.data.tables.text import open_table
from entreg.errors import DataError

REQUIRED, OPTIONAL = ("image", "x", "y"), ("subject", "order")
TEXTS = ("image", "subject")


@dataclass(frozen=True)
class Table:
    """A table of n fixations.

    fixations: the columns image (a Categorical of the images' names), x, y, finite, and, where they are known, subject
        (a Categorical) and order, finite. The index is the number of the row in the file, from 0
    rows_read: the number of rows in the file
    line_of: the line of the file, from 1, in which a row stands
    dropped: the number of rows that are left out, by reason
    """

    fixations: pd.DataFrame
    rows_read: int
    line_of: Callable[[int], int]
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.fixations)

    def names(self) -> list[str]:
        """Return the names of the images, in the order in which the table mentions them."""
        return [str(name) for name in self.fixations["image"].cat.remove_unused_categories().cat.categories]

    def repeated(self) -> int:
        """Return the number of rows that repeat the image, subject and order of another; 0 without these columns."""
        return int(self.fixations.duplicated(["image", *OPTIONAL]).sum()) if {*OPTIONAL} <= {*self.fixations} else 0


def read(path: Path, text: TableText | None = None) -> Table:
    """Return the columns image, x, y and, where they exist, subject and order. Other columns are ignored.

    Rows without a place are left out and counted. Raises a DataError where a column is missing or occurs twice, a row
    has another number of values than the header, or a value is not a finite number.
    """
    source = open_table(path, text or TableText(), [REQUIRED])
    at = {name: i for name in (*REQUIRED, *OPTIONAL) if (i := source.column(name)) is not None}
    values = source.read([at[name] for name in at if name not in TEXTS], [at[name] for name in at if name in TEXTS])
    rows = pd.DataFrame({name: values.pop(i) for name, i in at.items()}, copy=False)
    read_rows, without = len(rows), _without_place(rows)
    if without.any():
        rows = rows[~without]
    if "order" in rows and rows["order"].isna().any():
        line = source.line_of(int(rows.index[rows["order"].isna().argmax()]))
        raise DataError(f"{path}, line {line}: the fixation has no order; give it one or leave such rows out")
    dropped = {"without a place": int(without.sum())} if without.any() else {}
    return Table(rows, read_rows, source.line_of, dropped)


def _without_place(rows: pd.DataFrame) -> np.ndarray:
    """Return which rows have no place: (n,). Programs mark it with -1 for both x and y, too."""
    x: np.ndarray = rows["x"].to_numpy()
    y: np.ndarray = rows["y"].to_numpy()
    without: np.ndarray = np.isnan(x) | np.isnan(y) | ((x == -1) & (y == -1))
    return without
