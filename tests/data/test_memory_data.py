"""Data in memory: what does not fit is refused, and the same content is written to the same place once."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from entreg.data.images import read_rgb
from entreg.data.memory_data import MemoryData
from entreg.errors import SettingError

GREY, COLOUR = np.full((30, 40), 7, np.uint8), np.arange(20 * 25 * 3, dtype=np.uint8).reshape(20, 25, 3)


def given(**changes):
    parts = {"name": "mine", "images": [GREY, COLOUR], "image": [0, 1, 0], "x": [1, 2.5, 3], "y": [4, 5, 6.5]}
    return MemoryData(**parts | changes)


def test_images_are_written_without_loss_and_files_as_they_are(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "photo.jpg")
    folder = given(images=[GREY, Image.fromarray(COLOUR), tmp_path / "photo.jpg"]).write(tmp_path)
    paths = [folder / f"stimuli/00000{name}" for name in ("0.png", "1.png", "2.jpg")]
    assert (read_rgb(paths[0]) == 7).all() and np.array_equal(read_rgb(paths[1]), COLOUR)
    assert paths[2].read_bytes() == (tmp_path / "photo.jpg").read_bytes()


def test_the_same_content_has_one_folder_and_any_other_another(tmp_path):
    folder = given().write(tmp_path)
    before = (folder / "fixations.npz").stat().st_mtime_ns
    assert given(x=np.array([1, 2.5, 3], np.float32)).write(tmp_path) == folder
    assert (folder / "fixations.npz").stat().st_mtime_ns == before
    changes = (
        {"x": [1, 2.5, 3.5]},
        {"image": [0, 1, 1]},
        {"subject": [0, 0, 1]},
        {"order": [0, 0, 1]},
        {"images": [GREY + 1, COLOUR]},
        {"names": ["a.png", "b.png"]},
    )
    folders = {given(**change).write(tmp_path) for change in changes}
    assert len(folders) == len(changes) and folder not in folders


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"x": [1, 2]}, "mine: fixations are arrays of one length"),
        ({"images": []}, "mine: fixations are arrays of one length on at least one image"),
        ({"subject": [1]}, "mine: fixations are arrays of one length"),
        ({"image": [0, 2, 0]}, "mine: `image` holds whole numbers from 0 to 1"),
        ({"image": [0.0, 1.0, 0.0]}, "mine: `image` holds whole numbers"),
        ({"names": ["a.png", "a.png"]}, "mine: `names` holds a name of its own for each of the 2 images"),
        ({"names": ["a.png"]}, "mine: `names` holds a name of its own"),
        ({"names": ["a.png", "/b.png"]}, "mine: `names` holds a name of its own"),
        ({"names": ["a.png", "../b.png"]}, "mine: a name is a path below a folder"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(changes, said):
    with pytest.raises(SettingError) as error:
        given(**changes)
    assert str(error.value).startswith(said)
