"""What was in memory is read as it was given."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.data.memory_data import MemoryData
from entreg.data.sources import load, memory
from entreg.errors import DataError

IMAGES = [np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8) for number in range(2)]
DATA = MemoryData(
    "mine",
    IMAGES,
    image=np.array([0, 1, 0, 1, 0]),
    x=np.array([1.25, 5, 3, 7, 40]),
    y=np.array([2.5, 6, 4, 8, 3]),
    subject=np.array([3, 3, 4, 4, 4]),
    order=np.array([1, 0, 2, 1, 3]),
    names=["i10.png", "i2.png"],
)


def settings(root, **more):
    return memory.Settings(source="memory", name="mine", root=str(root), **more)


def test_images_come_in_natural_order_and_fixations_with_theirs(tmp_path):
    found = load(settings(DATA.write(tmp_path), drop_first=False, accept=["outside"]))
    assert [stimulus.name for stimulus in found.stimuli] == ["i2.png", "i10.png"]
    assert found.fixations.image.tolist() == [0, 0, 1, 1] and found.fixations.x.tolist() == [5, 7, 1.25, 3]
    assert found.fixations.y.tolist() == [6, 8, 2.5, 4] and found.fixations.subject.tolist() == [3, 4, 3, 4]
    assert found.dropped == {"outside the image": 1}


def test_first_fixations_of_trials_are_left_out_by_default(tmp_path):
    found = load(settings(DATA.write(tmp_path), accept=["outside"]))
    assert found.fixations.x.tolist() == [7, 1.25, 3]
    assert found.dropped == {"first of a trial": 1, "outside the image": 1}


def test_what_is_gone_is_asked_for_and_what_is_damaged_is_named(tmp_path):
    root = DATA.write(tmp_path)
    (root / "fixations.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=f"^{root}/fixations.npz: damaged .*give the same data again"):
        load(settings(root))
    (root / "fixations.npz").unlink()
    with pytest.raises(
        DataError, match=rf"given in memory, .* is not at {root}.(.|\n)*entreg.evaluate\(..., data=\[DATA"
    ):
        load(settings(root))
