import json

import pytest
from PIL import Image

from entreg.config.tables import TableData
from entreg.data import recording
from entreg.errors import DataError

TRIALS = [
    {"name": "a.jpg", "subject": 2, "task": "car", "X": [20, 30.5], "Y": [10, 11], "T": [200, 310], "length": 2},
    {"name": "a.jpg", "subject": 2, "task": "cup", "X": [20], "Y": [10], "T": [150], "length": 1},
]


@pytest.fixture
def read(tmp_path):
    """read(content): the fixations on a.jpg of 40 x 30 px."""
    (tmp_path / "stimuli").mkdir()
    Image.new("L", (40, 30)).save(tmp_path / "stimuli/a.jpg")

    def of(content):
        (tmp_path / "d.json").write_text(json.dumps(content))
        settings = TableData(root=str(tmp_path), file="d.json", table="coco_search")
        return recording.read(settings, tmp_path / "stimuli", with_times=True)

    return of


def test_a_picture_seen_in_two_tasks_is_two_trials(read):
    """Both begin at the place where the cross was, and both count."""
    found = read(TRIALS)
    columns = found.fixations[["subject", "order", "x", "y", "duration"]]
    assert columns.to_numpy().tolist() == [["2", 0, 20, 10, 200], ["2", 1, 30.5, 11, 310], ["2", 0, 20, 10, 150]]
    assert found.rows_read == 3 and found.dropped == {}


@pytest.mark.parametrize("content", [{"a": 1}, [{"name": "a.jpg"}], [{**TRIALS[0], "T": [1]}], [1]], ids=str)
def test_other_files_are_named(read, content):
    with pytest.raises(DataError, match="d.json is no list of trials with name, subject, X, Y and T"):
        read(content)
