"""Files of arrays: whole, or refused, also where numpy itself would not notice."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from entreg.io import arrays

CONTENT = {"a": np.arange(6.0).reshape(2, 3), "name": np.array("x")}


def test_what_is_written_is_read(tmp_path):
    arrays.write(tmp_path / "a.npz", CONTENT)
    found = arrays.read(tmp_path / "a.npz", 1)
    assert found.keys() == CONTENT.keys() and all(np.array_equal(found[name], CONTENT[name]) for name in CONTENT)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"]


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
