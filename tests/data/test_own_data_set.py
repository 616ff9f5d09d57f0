from pathlib import Path

import pandas as pd
import pytest
import yaml

from entreg.config.tables import TableData
from entreg.data import own_data_set
from entreg.data.dataset import Stimulus
from entreg.data.recording import Recording
from entreg.errors import DataError
from entreg.io import files


def found(x=(1.5, 40.0)):
    rows = pd.DataFrame({"image": [0, 0], "x": x, "y": [2.0, 3.0], "order": [0.0, 1.0]})
    stimuli = (Stimulus("a.png", Path("a.png"), 30, 40),)
    return Recording(Path("t.csv"), stimuli, rows, 3, {"repeated": 1}, 0, ("a note",))


def settings(root):
    (root / "t.csv").write_text("x")
    return TableData(root=str(root), file="t.csv", key=["n"])


def test_both_files_are_written(tmp_path):
    count, line = own_data_set.write(settings(tmp_path), found())
    assert (count, line) == (1, "3 rows -> 1 fixations; left out: 1 repeated, 1 outside the image")
    assert (tmp_path / "fixations.csv").read_text() == "image,order,x,y\na.png,0,1.5,2.0\n"
    said = yaml.safe_load((tmp_path / "dataset.yaml").read_text())
    assert said["source"]["key"] == ["n"] and said["notes"] == ["a note"] and said["counts"]["people"] is None


def test_without_a_fixation_nothing_is_written(tmp_path):
    with pytest.raises(
        DataError, match="t.csv: no fixation is left; 3 rows -> 0 fixations; left out: 1 rep.* data.frame"
    ):
        own_data_set.write(settings(tmp_path), found(x=(-1.0, 40.0)))
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("exists", ["fixations.csv", "dataset.yaml"])
def test_what_is_there_stays_and_no_half_is_left(tmp_path, exists):
    (tmp_path / exists).write_text("mine")
    with pytest.raises(DataError, match=f"{exists} is there already, and an import changes nothing"):
        own_data_set.write(settings(tmp_path), found())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([exists, "t.csv"])
    assert (tmp_path / exists).read_text() == "mine"


@pytest.mark.parametrize("name", ["fixations.csv", "dataset.yaml"])
def test_a_full_disk_leaves_no_half(tmp_path, monkeypatch, name):
    create = files.create

    def full(path, text):
        if path.name == name:
            raise DataError("No space left on device")
        return create(path, text)

    monkeypatch.setattr(files, "create", full)
    with pytest.raises(DataError, match="No space left on device; neither dataset.yaml nor fixations.csv is written"):
        own_data_set.write(settings(tmp_path), found())
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_an_import_that_was_killed_goes_on_and_one_that_is_done_changes_nothing(tmp_path):
    own_data_set.write(settings(tmp_path), found())
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for left in ((), ("dataset.yaml",), ("dataset.yaml", ".dataset.yaml.0123abcd.tmp", ".fixations.csv.0123abcd.tmp")):
        for path in tmp_path.glob("[!t]*"):
            path.unlink()
        for name in left:
            (tmp_path / name).write_bytes(whole.get(name, b"half"))
        assert own_data_set.write(settings(tmp_path), found())[0] == 1
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("[!t]*")}
    assert own_data_set.write(settings(tmp_path), found())[0] == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("[!t]*")} == before
    with pytest.raises(DataError, match="fixations.csv is there already"):
        own_data_set.write(settings(tmp_path), found(x=(2.5, 40.0)))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("[!t]*")} == before
