"""Files are whole or not there, and the forms that they are written in."""
import pytest

from entreg import files


def test_a_table_has_every_key_that_a_row_has(tmp_path):
    files.write_csv(tmp_path / "a.csv", [{"x": 1}, {"x": 2, "y": None}, {"y": 3}])
    assert (tmp_path / "a.csv").read_text() == "x,y\n1,\n2,\n,3\n"


def test_json_without_nan(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())
