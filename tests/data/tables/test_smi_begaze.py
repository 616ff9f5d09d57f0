import pytest

from entreg.config.tables import TableData
from entreg.data.tables import smi_begaze
from entreg.data.tables.presets import forms
from entreg.errors import DataError

COLUMNS = "Event Type,Trial,Number,Start,End,Duration,Location X,Location Y\n"


@pytest.fixture
def read(tmp_path):
    def of(content, **typed):
        (tmp_path / "e.txt").write_text(content)
        settings = TableData(table="smi_begaze", **typed)
        return smi_begaze.open_table(tmp_path / "e.txt", settings, forms(settings)[0])

    return of


def test_without_messages_the_head_names_the_stimulus(read):
    content = "Stimulus:\ta.png\nTable Header for Fixations:\n" + COLUMNS + "Fixation R,1,1,5,9,4,1.5,-\n"
    table, _ = read(content)
    assert [tuple(row) for row in table.rows] == [("a.png", "0", 5, "e", "R", "4", "1.5", "-")] and table.lines == [4]


def test_what_is_not_there_is_named(read):
    assert read("Stimulus\tx\n") is None
    with pytest.raises(DataError, match="e.txt: the table of fixations has no column Location Y; export them"):
        read("Table Header for Fixations:\n" + COLUMNS.replace(",Location Y", ""))
    with pytest.raises(
        DataError, match="e.txt: neither a message nor the head names a picture; give data.message=PATT"
    ):
        read("Table Header for Fixations:\n" + COLUMNS + "UserEvent,1,1,5,# Message: a\n", message="PIC (.)")


def test_a_fixation_without_times_is_named(read):
    with pytest.raises(DataError, match="e.txt, line 4: the fixation has no start and end in us; leave such rows out"):
        read("Stimulus:\ta\nTable Header for Fixations:\n" + COLUMNS + "Fixation L,1,1,-,9,4,1,1\n")
