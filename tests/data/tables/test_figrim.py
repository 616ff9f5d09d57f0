import numpy as np
import pytest
import scipy.io
from PIL import Image

from entreg.config.tables import TableData
from entreg.data import recording
from entreg.errors import DataError


@pytest.fixture
def read(tmp_path):
    """read(**settings): the fixations of two people on a.jpg of 100 x 100 px, as the file holds them."""
    (tmp_path / "stimuli").mkdir()
    Image.new("L", (100, 100)).save(tmp_path / "stimuli/a.jpg")
    none = np.zeros((0, 0), np.uint8)
    several = np.array([[10.5, 20.25], [30, 40]])
    seen = {"enc": several, "rec": np.array([[50, 60]], np.uint16), "rec2": none}
    people = np.empty((1, 3), dtype=[("trial", object), ("fixations", object)])
    people[0, 0] = (4.0, seen)
    people[0, 1] = (none, none)
    people[0, 2] = (9.0, {"enc": np.array([[70, 80]], np.uint8), "rec": none, "rec2": none})
    image = {"filename": "a.jpg", "userdata": people}

    def of(variable="allImages", **settings):
        scipy.io.savemat(tmp_path / "allImages.mat", {variable: image})
        data = TableData(root=str(tmp_path), file="allImages.mat", table="figrim", **settings)
        return recording.read(data, tmp_path / "stimuli", with_times=True)

    return of


def test_the_first_time_that_somebody_sees_an_image_counts(read):
    """One fixation is a vector in such a file, none an empty matrix; the second person has not seen the image."""
    found = read()
    columns = found.fixations[["subject", "order", "x", "y"]]
    assert columns.to_numpy().tolist() == [["S01", 0, 10.5, 20.25], ["S01", 1, 30, 40], ["S03", 0, 70, 80]]
    assert found.rows_read == 4 and sum(found.dropped.values()) == 1


def test_its_repetitions_count_where_they_are_asked_for(read):
    found = read(filter={"phase": ["enc", "rec"]})
    columns = found.fixations[["subject", "order", "x", "y"]].to_numpy().tolist()
    assert ["S01", 0, 50, 60] in columns and len(columns) == 4


def test_another_file_is_named(read):
    with pytest.raises(DataError, match="allImages.mat has no variable allImages"):
        read(variable="allSubjects")
