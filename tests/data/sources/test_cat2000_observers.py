"""CAT2000's observers, from a file of the form that pysaliency's own script reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from entreg.data.sources.cat2000_observers import Settings, load
from entreg.errors import DataError, UserError
from tests.conftest import ROOT
from tests.environments import python_with

# by stimulus, of each observer the rows of x, y (from 1) and a duration; the stimuli have 40 x 30 pixels
STORED = {
    "Action/010.jpg": {"3-1-zz.eye": [[1, 1, 9], [1, 1, 9], [40, 30, 9], [41, 3, 9]], "3-2-ab.eye": [[20.5, 7.25, 9]]},
    "Action/2.jpg": {"4-1-ab.eye": [[5, 6, 9], [np.nan, 6, 9], [5, 6, 9], [0.5, 6, 9], [7, 8, 9], [5, 6, 9]]},
    "Satelite/001.jpg": {"5-1-zz.eye": np.zeros((0, 0)), "5-2-q.eye": [[2, 3, 9]]},
    "Satelite/gone.jpg": {"6-1-q.eye": [[2, 3, 9]]},
}
NAMES = ["Action/2.jpg", "Action/010.jpg", "Satelite/001.jpg"]
# image, x, y, observer (ab, q, zz): counted from 0, inside, the second of two equal ones left out
FOUND = [
    [0, 0, 0, 1, 1, 1, 2],
    [4, 6, 4, 0, 39, 19.5, 1],
    [5, 7, 5, 0, 29, 6.25, 2],
    [0, 0, 0, 2, 2, 0, 1],
]
DROPPED = {"outside the image": 3, "repeated": 2}


def cell(observers) -> np.ndarray:
    """A cell of structs, as mat-io reads and writes it."""
    found = np.empty((len(observers), 1), dtype=object)
    for row, (name, data) in zip(found, observers.items(), strict=True):
        row[0] = np.empty((1, 1), dtype=[("name", object), ("data", object)])
        row[0]["name"][0, 0], row[0]["data"][0, 0] = np.array([name]), np.array(data, dtype=float)
    return found


@pytest.fixture
def root(tmp_path):
    for name in STORED:
        path = tmp_path / "trainSet/Stimuli" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "gone" not in name:
            Image.new("RGB", (40, 30)).save(path)
    (tmp_path / "trainSet/allFixData.mat").touch()
    return tmp_path


@pytest.fixture
def stand_in(monkeypatch):
    """In place of mat-io: a module that reads what it is given."""
    module = ModuleType("matio")
    module.content = {"allData": {key: cell(value) for key, value in STORED.items()}}
    module.load_from_mat = lambda path: module.content
    monkeypatch.setitem(sys.modules, "matio", module)
    return module


def test_observers_are_told_apart(root, stand_in):
    data = load(Settings(name="c", root=str(root), expected_images=2000))
    assert [stimulus.name for stimulus in data.stimuli] == NAMES
    assert [stimulus.category for stimulus in data.stimuli] == ["Action", "Action", "Satelite"]
    assert [getattr(data.fixations, key).tolist() for key in ("image", "x", "y", "subject")] == FOUND
    assert data.dropped == DROPPED
    (note,) = data.notes
    assert note.endswith("3 stimuli exist, allFixData.mat names 4, and 2000 were published")
    assert load(Settings(name="c", root=str(root))).notes  # one stimulus is gone


def test_what_is_missing_or_of_another_form_is_named(root, stand_in, monkeypatch):
    path = root / "trainSet/allFixData.mat"
    stand_in.content["allData"]["../secret.jpg"] = cell(STORED["Action/2.jpg"])
    with pytest.raises(
        DataError, match=rf"^{path}: allData: '../secret.jpg' is not a path below Stimuli/; get \w+.mat"
    ):
        load(Settings(name="c", root=str(root)))
    for wrong in (np.zeros(3), cell({"a-b-c.eye": [1, 2, 3]}), np.array([[{"name": 1}]], dtype=object)):
        stand_in.content = {"allData": {"Action/2.jpg": wrong}}
        with pytest.raises(DataError, match=rf"^{path}: allData cannot be read: [^\n]*; get allFixData.mat again$"):
            load(Settings(name="c", root=str(root)))
    stand_in.content = {}
    with pytest.raises(DataError, match=rf"^{path}: allData cannot be read: KeyError"):
        load(Settings(name="c", root=str(root)))
    monkeypatch.setitem(sys.modules, "matio", None)
    with pytest.raises(UserError, match="pip install mat-io .*Without observers: data=cat2000$"):
        load(Settings(name="c", root=str(root)))
    path.unlink()
    with pytest.raises(DataError, match=f"not at {root}: trainSet/allFixData.mat and allFixData.mat are missing"):
        load(Settings(name="c", root=str(root)))


@pytest.mark.slow
def test_the_file_itself_is_read(root):
    """A containers.Map in a .mat, written and read by mat-io, in an environment of its own."""
    script = ROOT / "tests/data/sources/read_cat2000.py"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run((str(python_with("matio")), str(script)), cwd=root, env=environment, check=True)
    found = json.loads((root / "out.json").read_text())
    assert found == {"stimuli": NAMES, "dropped": DROPPED, "fixations": FOUND}
