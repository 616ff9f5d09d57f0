"""Only the file itself is read: links, values in other files and collections without an end are refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from entreg.errors import DataError
from entreg.io.hdf5 import Reader


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["x"] = [1.0, 2.0]
    (tmp_path / "raw.bin").write_bytes(np.arange(4.0).tobytes())
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["x"], file["texts"] = [1.0, np.nan], ["a", "ä"]
        file["linked"] = h5py.ExternalLink("other.hdf5", "x")
        file["soft"] = h5py.SoftLink("/linked")
        file.create_dataset("outside", (4,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 32)])
        layout = h5py.VirtualLayout((2,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "x", (2,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("endless", (10**12,), "f8", chunks=(1000,))
        file["pictures"] = np.zeros((2, 3, 3), np.uint32)
        file["cmyk"] = np.zeros((2, 3, 4), np.uint8)
    return tmp_path / "a.hdf5"


def test_what_is_there_is_read(path):
    with Reader(path) as file:
        np.testing.assert_array_equal(file.numbers("x"), [1.0, np.nan])
        assert file.texts("texts") == ["a", "ä"] and file.plain("texts").tolist() == ["a", "ä"]
        assert "x" in file and "y" not in file


def test_data_sets_of_all_groups_are_named_and_no_link_is_followed(path):
    with h5py.File(path, "a") as file:
        file["deep/er/y"] = [1.0]
    with Reader(path) as file:
        named = file.data_sets()
    assert {"x", "texts", "deep/er/y"} <= {*named} and not {"linked", "soft", "deep"} & {*named}


@pytest.mark.parametrize(
    "key, said",
    [
        ("linked", "is a link to another place"),
        ("soft", "is a link to another place"),
        ("outside", "its values lie in another file"),
        ("virtual", "its values lie in another file"),
        ("endless", "has the shape"),
        ("texts", "holds values of the type object"),
        ("y", "is missing"),
    ],
)
def test_whatever_else_is_named_with_its_key(path, key, said):
    with Reader(path) as file, pytest.raises(DataError, match=rf"^{path}: {key}: {said}[^\n]*$"):
        file.numbers(key)


def test_a_promise_of_more_values_than_its_bytes_can_hold_is_refused(tmp_path):
    """Deflate's best ratio is 1032, which equal values nearly reach; a chunk that is stored of many is a promise."""
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_dataset("equal", data=np.zeros(1_000_000), chunks=(1_000_000,), compression="gzip")
        promised = file.create_dataset("promised", (100_000_000,), "f8", chunks=(1000,), compression="gzip")
        promised[:1000] = np.arange(1000)
        stored = promised.id.get_storage_size()
    with Reader(tmp_path / "a.hdf5") as file:
        assert (file.numbers("equal") == 0).all()
        with pytest.raises(DataError, match=f"promised: promises 100,000,000 values, and {stored:,} bytes are stored"):
            file.numbers("promised")


def test_whole_numbers_pictures_and_groups(path):
    with Reader(path) as file:
        with pytest.raises(DataError, match=f"^{path}: x: holds values that are not whole numbers; get the file again"):
            file.integers("x")
        with pytest.raises(DataError, match=f"^{path}: pictures: is not a picture of 8 or 16 bits, but uint32 of"):
            file.picture("pictures")
        with pytest.raises(DataError, match=f"^{path}: cmyk: has a fourth channel that is not opaque: CMYK, or transp"):
            file.picture("cmyk")
        with pytest.raises(DataError, match=f"^{path}: x: is not a group; get the file again"), file.below("x"):
            pass
        with pytest.raises(DataError, match=f"^{path}: size: is missing; get the file again"):
            file.count("size")


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
