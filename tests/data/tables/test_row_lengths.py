import pytest

from entreg.config.tables import TableText
from entreg.data.tables import header, row_lengths
from entreg.errors import DataError


@pytest.fixture
def check(tmp_path, monkeypatch):
    """check(rows, part): whether rows below the header a,b,c have three values each."""

    def of(rows, part=1 << 20, head="a,b,c"):
        monkeypatch.setattr(row_lengths, "PART", part)
        path = tmp_path / "t.csv"
        path.write_bytes(head.encode() + b"\n" + rows)
        row_lengths.check(path, header.find(path, TableText(), [["a", "b", "c"]]), None)

    return of


@pytest.mark.parametrize("part", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    "rows", [b"", b"\n", b"1,2,3", b"1,2,3\n\n4,,\n", b'"1,1","2\n2",3\r\n4,5,"6""6"\n', b'5" wide,2,3\n'], ids=repr
)
def test_rows_of_the_headers_width_pass_wherever_parts_end(check, rows, part, monkeypatch):
    """Without being read one by one, unless there are quotes within a value."""
    if b'5"' not in rows:
        monkeypatch.setattr(row_lengths, "rows", None)
    check(rows, part)


@pytest.mark.parametrize("part", [1, 5, 1000])
@pytest.mark.parametrize(
    "rows, said",
    [
        (b"1,2,3\n1,2\n", "line 3: the row has 2 values and the header 3; correct the row or leave it out"),
        (b"1,2,3\n\n1,2,3,4", "line 4: the row has 4 values"),
        (b'"1,2",3\n', "line 2: the row has 2 values"),
        (b"1,2,3\n1,\0,3\n", "line 3: line contains NUL; save it as CSV, without NUL bytes"),
        (b'1,2,3\n1,"2,3\n', "line 3: the row has 2 values"),
    ],
    ids=repr,
)
def test_others_are_named(check, rows, said, part):
    with pytest.raises(DataError, match=said):
        check(rows, part)


def test_white_space_of_any_width_separates(check):
    check(b" 1  2\t3\n", head="a b c")
    with pytest.raises(DataError, match="line 2: the row has 2 values and the header 3"):
        check(b"1  2\n", head="a b c")
