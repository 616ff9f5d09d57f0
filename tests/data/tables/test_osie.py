import numpy as np
import pytest
import scipy.io
from PIL import Image

from entreg.config.tables import TableData
from entreg.data import recording
from entreg.errors import DataError


def person(x, y, duration_ms, kind):
    """A person's fixations on an image, with durations in integers of that kind: each trial has its own."""
    return {"fix_x": np.array(x, float), "fix_y": np.array(y, float), "fix_duration": np.array(duration_ms, kind)}


def cells(*values):
    cell = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        cell[i, 0] = value
    return cell


@pytest.fixture
def read(tmp_path):
    """read(**variables): the fixations on 1001.jpg and 1002.jpg of 80 x 60 px."""
    (tmp_path / "stimuli").mkdir()
    for name in ("1001", "1002"):
        Image.new("L", (80, 60)).save(tmp_path / f"stimuli/{name}.jpg")

    def of(**variables):
        scipy.io.savemat(tmp_path / "fixations.mat", variables)
        settings = TableData(root=str(tmp_path), file="fixations.mat", table="osie")
        return recording.read(settings, tmp_path / "stimuli", with_times=True)

    return of


def test_each_person_on_each_image_is_a_trial(read):
    """One fixation, several and none; two images, of which the second one was seen by one person."""
    several = person([39.5, 20.25], [30, 11], [246, 1310], np.uint16)
    first = {"img": "1001.jpg", "subjects": cells(several, person([], [], [], np.uint8))}
    second = {"img": "1002.jpg", "subjects": cells(person([41], [29], [200], np.uint8))}
    found = read(fixations=cells(first, second))
    assert [found.stimuli[i].name for i in found.fixations["image"]] == ["1001.jpg", "1001.jpg", "1002.jpg"]
    columns = found.fixations[["subject", "order", "x", "y", "duration"]]
    assert columns.to_numpy().tolist() == [
        ["S01", 0, 39.5, 30, 246],
        ["S01", 1, 20.25, 11, 1310],
        ["S01", 0, 41, 29, 200],
    ]
    assert found.rows_read == 3 and found.dropped == {}


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"other": 1.0}, "fixations.mat has no variable fixations"),
        ({"fixations": 1.0}, "its variable fixations has another structure"),
        (
            {"fixations": cells({"img": "1001.jpg"})},
            r"its variable fixations has another structure \(KeyError 'subjects'\)",
        ),
        (
            {"fixations": cells({"img": "1001.jpg", "subjects": cells(person([1, 2], [1], [5], np.uint8))})},
            "has another structure .ValueError",
        ),
    ],
    ids=["other variable", "number", "no subjects", "lengths"],
)
def test_other_files_are_named(read, variables, message):
    with pytest.raises(DataError, match=message):
        read(**variables)
