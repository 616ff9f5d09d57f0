"""Tables of text in the forms that programs and spreadsheets write."""

import gzip

import pytest

from entreg.config.tables import TableText
from entreg.data.tables import text
from entreg.data.tables.text import open_table
from entreg.errors import DataError


@pytest.fixture
def read(tmp_path):
    """read(content, name, **typed): image, x and y of a table, as lists."""

    def of(content, name="t.csv", **typed):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        table = open_table(path, TableText(**typed), [("image", "x", "y")])
        image, x, y = (table.column(column) for column in ("image", "x", "y"))
        columns = table.read([x, y], [image])
        return columns[image].tolist(), columns[x].tolist(), columns[y].tolist()

    return of


@pytest.mark.parametrize(
    "content",
    [
        "image,x,y\na b.png,1.5,2\n",
        "image\tx\ty\na b.png\t1.5\t2\n",
        "image;x;y\r\na b.png;1,5;2\r\n",
        "image\tx\ty\na b.png\t1,5\t2\n",
        '"image","x","y"\n"a b.png","1.5","2"\n',
        "# recorded by hand\n\nversion,3\nIMAGE, X , y\na b.png,1.5,2",
        "x,image,y,\n1.5,a b.png,2,\n",
        "image,x,y\ra b.png,1.5,2\r",
        "image,x,y\r\r\na b.png,1.5,2\r\r\n",
        "\ufeffimage,x,y\na b.png,1.5,2\n",
        "image,x,y\na b.png,1.5,2\n".encode("utf-16"),
    ],
    ids=lambda content: repr(content)[:40],
)
def test_one_fixation_in_any_form(read, content):
    assert read(content) == (["a b.png"], [1.5], [2])


def test_blanks_of_any_width_separate(read):
    assert read("image  x y\n a.png  1,5\t 2\nb.png 3 4\n") == (["a.png", "b.png"], [1.5, 3], [2, 4])


def test_a_packed_file_is_read(read):
    assert read(gzip.compress(b"\xef\xbb\xbfimage,x,y\na,1,2\n"), "t.csv.gz") == (["a"], [1], [2])


@pytest.mark.parametrize("encoding", ["latin-1", "mac-roman", "cp1252", "utf-16-le"])
def test_other_encodings_are_typed(read, encoding):
    assert read("image,x,y\nbäume,1,2\n".encode(encoding), encoding=encoding)[0] == ["bäume"]


def test_a_name_that_looks_like_a_missing_number_is_a_name(read):
    assert read("image,x,y\nNA,1,2\n-,nan,3\n")[0] == ["NA", "-"]


def test_further_marks_of_missing_numbers_are_typed(read):
    assert read("image,x,y\na,1,2\na,lost,3\n", missing=["lost"])[1] == pytest.approx([1, float("nan")], nan_ok=True)


def test_a_comma_that_may_separate_thousands_is_asked_about(read):
    table = "image;x;y\na;1,024;7\n"
    with pytest.raises(DataError, match="line 2: '1,024' may have a decimal comma or separate thousands; give data"):
        read(table)
    assert read(table, decimal="comma")[1] == [1.024]
    assert read(table + "a;3,25;7\n")[1] == [1.024, 3.25]  # the second leaves no doubt


def test_two_decimal_signs_in_one_table_are_refused(read):
    with pytest.raises(DataError, match="some numbers have a decimal point and some a comma"):
        read("image;x;y\na;1,5;7\na;1.5;7\n")


def test_a_typed_decimal_sign_is_kept_to(read):
    with pytest.raises(DataError, match="line 2: x is '1,5', not a finite number"):
        read("image;x;y\na;1,5;7\n", decimal="point")


def test_numbers_are_read_to_the_last_bit(read, rng):
    values = (rng.random(5000) * 10.0 ** rng.integers(-12, 12, 5000)).tolist()
    assert read("image,x,y\n" + "".join(f"a,{value!r},0\n" for value in values))[1] == values


def test_the_form_that_was_found_is_said(read, caplog):
    caplog.set_level("INFO")
    read("image,x,y\na,1,2\n")
    assert not caplog.text
    read("made by hand\nimage;x;y\na;1,5;2\n")
    assert "t.csv: separated by ';', decimal sign ',', names of the columns in line 2" in caplog.text


def test_parts_are_joined_and_names_keep_their_numbers(read, monkeypatch):
    monkeypatch.setattr(text, "ROWS", 2)
    assert read("image,x,y\nb,1,9\na,2,9\na,3,9\nc,4,9\nb,5,9\n") == (list("baacb"), [1, 2, 3, 4, 5], [9] * 5)


def test_a_table_without_rows_has_none_whatever_columns_are_read(read):
    assert read("time,number,image,x,y\n") == ([], [], [])


def test_rows_know_their_line(tmp_path):
    (tmp_path / "t.csv").write_text('# head\nimage,x,y\n\na,1,2\n"b\nb",1,2\nc,1,2\n')
    table = open_table(tmp_path / "t.csv", TableText(), [("image", "x", "y")])
    assert [table.line_of(row) for row in range(3)] == [4, 6, 7]
