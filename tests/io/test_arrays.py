"""Files of arrays: whole, or refused, also where numpy itself would not notice."""

from __future__ import annotations

import io
import logging
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from entreg import progress
from entreg.io import arrays

CONTENT = {"a": np.arange(6.0).reshape(2, 3), "name": np.array("x")}


def test_what_is_written_is_read(tmp_path):
    arrays.write(tmp_path / "a.npz", CONTENT)
    found = arrays.read(tmp_path / "a.npz", 1)
    assert found.keys() == CONTENT.keys() and all(np.array_equal(found[name], CONTENT[name]) for name in CONTENT)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"]


def test_a_long_writing_tells_how_far_it_is(tmp_path, monkeypatch, caplog):
    """Each of three arrays takes more than the minute after which there is a line."""
    passed = iter(range(0, 100_000, 100))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(passed)))
    with caplog.at_level(logging.INFO):
        arrays.write(tmp_path / "evidence.npz", {name: np.zeros(2) for name in "abc"})
    assert [line.split(" arrays")[0] for line in caplog.messages] == [
        f"writing evidence.npz: {number} of 3" for number in (1, 2, 3)
    ]


def test_an_array_of_objects_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        arrays.write(tmp_path / "a.npz", {"a": np.array([{}])})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("own, wanted", [(None, 1), (1, 1), (2, 2)])
def test_without_a_format_it_is_the_first(tmp_path, own, wanted):
    arrays.write(tmp_path / "a.npz", CONTENT | ({} if own is None else {"format": np.array(own)}))
    assert arrays.read(tmp_path / "a.npz", wanted).keys() == CONTENT.keys()
    with pytest.raises(ValueError, match=f"it has format {own or 1}, and this version of entreg reads format 3"):
        arrays.read(tmp_path / "a.npz", 3)


def test_an_array_that_lost_its_end_is_found(tmp_path):
    """Its header says (2, 2) where (2, 3) was written: numpy reads as much and never comes to the checksum."""
    path, content = tmp_path / "a.npz", io.BytesIO()
    np.savez(content, a=CONTENT["a"])
    path.write_bytes(content.getvalue().replace(b"(2, 3)", b"(2, 2)"))
    with pytest.raises((ValueError, zipfile.BadZipFile), match="checksum of a.npy|CRC"):
        arrays.read(path, 1)
