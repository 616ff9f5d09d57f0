"""Collections of texts in HDF5 that end nowhere are seen before the HDF5 library walks them."""

from __future__ import annotations

import h5py
import pytest

from entreg.data.hdf5 import Reader
from entreg.errors import DataError


@pytest.mark.parametrize("size", [0, 8, 2**64 - 16, 10**6])
def test_texts_without_an_end_are_refused_before_the_hdf5_library_reads_them_for_ever(tmp_path, size):
    """The free space after the texts has the size 0, say: found by tests/fuzz, where a read did not come back."""
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["texts"] = ["a", "ä"]
    with Reader(path) as file:
        assert file.texts("texts") == ["a", "ä"]
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    free = heap + 16 + 2 * 24  # its header, and a header and eight bytes for each of two texts
    assert content[free : free + 2] == b"\0\0" and content[free + 8 : free + 16] == (4096 - 64).to_bytes(8, "little")
    content[free + 8 : free + 16] = size.to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{path}: cannot be read as HDF5: a collection in it has no end; get the "):
        Reader(path)
