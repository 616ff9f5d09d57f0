import sys

import pytest

from entreg.config.tables import TableText
from entreg.data.tables import spreadsheet
from entreg.errors import DataError, UserError

WANTED = [("image", "x")]


def write(path, *rows):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_the_first_sheet_is_read_below_its_header(tmp_path):
    path = write(
        tmp_path / "t.xlsx", ("Exported", 3), (), ("Image", " X "), ("a.png", 1.5), (None, None), ("b.png", "2")
    )
    found = spreadsheet.open_table(path, TableText(), WANTED)
    columns = found.read([found.column("x")], [found.column("image")])
    assert columns[1].tolist() == [1.5, 2] and columns[0].tolist() == ["a.png", "b.png"] and found.line_of(1) == 6


def test_what_is_no_such_table_is_named(tmp_path):
    with pytest.raises(
        DataError, match="t.xlsx has no row that names the columns image, x: its first one is 'image, y'"
    ):
        spreadsheet.open_table(write(tmp_path / "t.xlsx", ("image", "y")), TableText(), WANTED)
    (tmp_path / "u.xlsx").write_text("image,x\n")
    with pytest.raises(DataError, match="u.xlsx cannot be read as a spreadsheet: .*; save it again, or as CSV"):
        spreadsheet.open_table(tmp_path / "u.xlsx", TableText(), WANTED)


def test_without_its_reader_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        UserError, match="t.xlsx is a spreadsheet, which .* reads: pip install openpyxl. Or save it as CSV"
    ):
        spreadsheet.open_table(tmp_path / "t.xlsx", TableText(), WANTED)
