from pathlib import Path

import pytest

from entreg.config.tables import TableText
from entreg.data.tables.memory_table import MemoryTable
from entreg.errors import DataError


def table(*rows):
    return MemoryTable(Path("f.asc"), ["Image", "x"], rows, [7 * (i + 1) for i in range(len(rows))], TableText())


def test_numbers_and_texts_of_any_kind():
    found = table(("a", 1), (None, "2,5"), (3, "."), ("a", None))
    assert (found.column("IMAGE"), found.column("y"), found.line_of(1)) == (0, None, 14)
    columns = found.read([1], [0])
    assert columns[1] == pytest.approx([1, 2.5, float("nan"), float("nan")], nan_ok=True)
    assert columns[0].tolist() == ["a", "", "3", "a"]


def test_what_is_no_number_is_named():
    with pytest.raises(DataError, match="f.asc, line 14: x is 'far', not a finite number"):
        table(("a", 1), ("a", "far")).read([1], [0])
