import pytest

from entreg.data.tables.text import TextTable
from entreg.errors import DataError
from tests.data.tables.conftest import tabs


def glasses(*rows, names=("a", "b")):
    """An export of glasses with two snapshots, of which the picture of the folder is one."""
    head = ["Recording timestamp", "Participant name", "Recording name", "Gaze event duration"]
    for part in (
        "Mapped eye movement type",
        "Mapped eye movement type index",
        "Mapped fixation X",
        "Mapped fixation Y",
    ):
        head += [f"{part} [{name}]" for name in names]
    return tabs((*head, "Eye movement type", "Eye movement type index", "Fixation point X", "Fixation point Y"), *rows)


def test_a_table_is_read_once_however_many_snapshots_it_has(read, monkeypatch):
    asked, original = [], TextTable.read
    monkeypatch.setattr(TextTable, "read", lambda self, *columns: asked.append(columns) or original(self, *columns))
    row = (1000, "p1", "r1", 200, *["Fixation"] * 3, 1, 7, 2, *[10] * 3, *[15] * 3, "Fixation", 1, 9, 9)
    found, _ = read("tobii", {"export.tsv": glasses(row, names=("b", "a", "c"))})
    assert found == [("p1", 0, 10, 15, 1, 200)] and len(asked) == 1


def test_tobii_glasses_on_snapshots(read):
    """The first fixation lies on both snapshots, the second on one; us, and pixels of the snapshot."""
    table = glasses(
        (1000, "p1", "r1", 200, "Fixation", "Fixation", 1, 7, 10, 300, 15, 400, "Fixation", 1, 900, 500),
        (11000, "p1", "r1", 200, "Fixation", "Fixation", 1, 7, 10, 300, 15, 400, "Fixation", 1, 900, 500),
        (21000, "p1", "r1", 30, "Saccade", "EyesNotFoundMovement", 1, 1, "", "", "", "", "Saccade", 1, "", ""),
        (51000, "p1", "r1", 90, "Fixation", "EyesNotFoundMovement", 2, 1, 20.5, "", 25, "", "Fixation", 2, 800, 400),
        (90000, "p1", "r1", 80, "", "", "", "", "", "", "", "", "Fixation", 3, 800, 400),
    )
    found, dropped = read("tobii", {"export.tsv": table})
    assert found == [("p1", 0, 10, 15, 1, 200), ("p1", 1, 20.5, 25, 51, 90)]
    assert dropped == {"repeated": 2, "on no picture of the folder": 1}


def test_tobii_glasses_without_the_type_of_mapped_samples(read):
    """An export of few columns: the eye's own type and index stand for the mapped ones."""
    head = ("Recording timestamp [ms]", "Participant name", "Recording name", "Gaze event duration [ms]")
    head += ("Eye movement type", "Eye movement type index", "Mapped fixation X [a]")
    row = (5, "p1", "r1", 200, "Fixation", 1, 10)
    with pytest.raises(DataError, match="export.tsv: the snapshot a lacks one of the columns Mapped fixation X and Y"):
        read("tobii", {"export.tsv": tabs(head, row)})
    table = tabs((*head, "Mapped fixation Y [a]"), (*row, 15), (*row, 15), (40, "p1", "r1", 9, "Saccade", 1, 12, 15))
    found, dropped = read("tobii", {"export.tsv": table})
    assert found == [("p1", 0, 10, 15, 5, 200)] and dropped == {"of another Eye movement type": 1, "repeated": 1}
