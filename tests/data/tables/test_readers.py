import pytest

from entreg.config.tables import TableData, TableText
from entreg.data.tables.presets import forms
from entreg.data.tables.readers import open_form
from entreg.errors import DataError

PRESET = """
forms:
  - {software: new, columns: {image: Picture, x: [X new, X], y: Y}, key: [Number]}
  - {software: old, columns: {image: Picture, x: X, y: Y}}
  - {refuse: "it holds no fixations; export them", columns: {image: Summary, x: Mean X, y: Mean Y}}
"""


@pytest.fixture
def opened(tmp_path):
    """opened(content): the form that a file has."""

    def of(content):
        (tmp_path / "p.yaml").write_text(PRESET)
        (tmp_path / "t.txt").write_text(content)
        settings = TableData(table=str(tmp_path / "p.yaml"), text=TableText())
        return open_form(tmp_path / "t.txt", settings, forms(settings))[1].software

    return of


def test_a_file_is_read_in_the_first_form_whose_columns_it_has(opened):
    assert opened("Picture,X new,Y,Number\n") == opened("Picture;X;Y;Number\n") == "new"
    assert opened("Picture\tX\tY\n") == "old"


def test_a_file_without_fixations_is_refused_with_what_to_export(opened):
    with pytest.raises(DataError, match="t.txt: it holds no fixations; export them"):
        opened("Summary,Mean X,Mean Y\n")


def test_a_file_of_no_form_is_told_what_the_first_one_needs(opened):
    with pytest.raises(DataError, match="t.txt has no column X new, Number: .* the columns Picture, X new, Y, Number"):
        opened("Picture,Y\n")
