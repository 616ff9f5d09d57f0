import pytest

from entreg.config.tables import TableText
from entreg.data.tables import header
from entreg.errors import DataError


@pytest.fixture
def find(tmp_path):
    """find(content, *wanted): the header of a table."""

    def of(content, *wanted, **typed):
        (tmp_path / "t.txt").write_bytes(content.encode())
        return header.find(tmp_path / "t.txt", TableText(**typed), wanted or [("x", "y")])

    return of


def test_the_first_line_that_names_the_columns_is_the_header(find):
    found = find("[Program] 3.1\n# x and y are pixels\nDate:\t1 May\nTime\tX \ty\t\n0\t1\t2\t\n")
    assert found == header.Header(["Time", "X", "y", ""], 4, "\t")
    assert (found.column("x"), found.column("Y"), found.column("z")) == (1, 2, None)


def test_names_of_columns_may_hold_blanks_and_either_micro_sign(find):
    found = find("Fix X\tstart [\u03bcs]\n", ("fix x", "start [\u00b5s]"))
    assert found.names == ["Fix X", "start [\u03bcs]"]


def test_a_header_may_stand_in_a_comment(find):
    assert find("# x,y\n1,2\n").names == ["x", "y"]


def test_one_of_several_forms_is_enough(find):
    assert find("a;b\n", ("x", "y"), ("a", "b")).separator == ";"


def test_a_typed_separator_is_kept_to(find):
    with pytest.raises(DataError, match="has no column x, y: its first line is 'x;y'"):
        find("x;y\n", separator="comma")


def test_what_is_missing_is_said_of_the_separator_that_fits_best(find):
    with pytest.raises(DataError, match=r"t.txt has no column y: its first line is 'x;z', and the columns x, y"):
        find("x;z\n")
