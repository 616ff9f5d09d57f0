"""Maps in MATLAB's files: what is a matrix of numbers, and what is said of everything else."""

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from entreg.data import matlab
from entreg.errors import DataError

VALUES = np.arange(6).reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "map.mat"


@pytest.mark.parametrize(
    "values",
    [
        VALUES.astype("uint8"),
        VALUES.astype("float32"),
        VALUES.astype("int64"),
        VALUES > 2,
        VALUES.astype(float),
        scipy.sparse.csc_matrix(VALUES.astype(float)),
    ],
    ids=lambda values: str(values.dtype) if isinstance(values, np.ndarray) else "sparse",
)
@pytest.mark.parametrize("more", [{}, {"do_compression": True}, {"format": "4"}], ids=str)
def test_every_kind_of_number_is_read(path, values, more):
    if more.get("format") == "4" and getattr(values, "dtype", None) in (bool, np.int64):
        values = values.astype("uint8")  # which version 4 does not have
    scipy.io.savemat(path, {"other": np.ones((9, 9)), "map": values}, **more)
    assert matlab.size_of(path, "map") == (2, 3)
    found = matlab.read(path, "map")
    expected = values.toarray() if scipy.sparse.issparse(values) else values
    assert isinstance(found, np.ndarray) and np.array_equal(found, expected)


@pytest.mark.parametrize(
    "content, said",
    [
        ({"other": VALUES, "another": VALUES}, r" has no variable map \(it holds other, another\); key=NAME"),
        ({}, r" has no variable map \(it holds none\)"),
        ({"map": np.ones((2, 3, 3))}, ": its variable map has 3 dimensions; a map is a matrix of finite real numbers"),
        ({"map": VALUES * 1j}, ": its variable map is complex"),
        ({"map": np.array([[1, np.nan]])}, ": its variable map holds values that are not finite"),
        ({"map": np.array([[1, -np.inf]])}, ": its variable map holds values that are not finite"),
        ({"map": np.array([[1, "a"]], dtype=object)}, ": its variable map has the type cell instead of numbers"),
        ({"map": {"x": 1}}, ": its variable map has the type struct instead of numbers"),
        ({"map": "text"}, ": its variable map has the type char instead of numbers"),
        (b"", " cannot be read as a MATLAB file: .+; get it again"),
        (b"damaged" * 100, " cannot be read as a MATLAB file: .+; get it again"),
    ],
    ids=str,
)
def test_everything_else_is_one_line_that_names_the_file(path, content, said):
    path.write_bytes(content) if isinstance(content, bytes) else scipy.io.savemat(path, content)
    with pytest.raises(DataError, match=f"^{path}{said}") as caught:
        matlab.read(path, "map")
    assert "\n" not in str(caught.value)


def test_names_of_other_variables_are_quoted_as_far_as_they_can_be_read(path):
    scipy.io.savemat(path, {"other": VALUES})
    path.write_bytes(path.read_bytes().replace(b"other", b"ot\n\xe4r"))
    with pytest.raises(DataError, match=r"has no variable map \(it holds .{1,8}\); key=NAME") as caught:
        matlab.read(path, "map")
    assert str(caught.value).isprintable()


def test_a_truncated_file_is_named(path):
    scipy.io.savemat(path, {"map": np.random.default_rng(0).random((20, 30))}, do_compression=True)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="map.mat cannot be read as a MATLAB file"):
        matlab.read(path, "map")


def write_7_3(path, **variables):
    """As MATLAB writes it: a header of its own in the first 512 bytes, matrices column by column, types by name."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, (values, kind) in variables.items():
            file[name] = np.asarray(values).T
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
        file.create_group("struct").attrs["MATLAB_class"] = np.bytes_("struct")
        sparse = file.create_group("sparse")
        sparse.attrs.update({"MATLAB_class": np.bytes_("double"), "MATLAB_sparse": np.uint64(2)})
        file.create_group("#refs#")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(header)


@pytest.mark.parametrize(
    "values, kind",
    [(VALUES.astype(float), "double"), (VALUES.astype("uint8"), "uint8"), ((VALUES > 2).astype("uint8"), "logical")],
    ids=str,
)
def test_a_file_of_version_7_3_is_read_through_hdf5(path, values, kind):
    write_7_3(path, map=(values, kind))
    assert matlab.size_of(path, "map") == (2, 3)
    np.testing.assert_array_equal(matlab.read(path, "map"), values)


@pytest.mark.parametrize(
    "name, said",
    [
        ("gone", r" has no variable gone \(it holds cube, nan, sparse, struct, text\); key=NAME"),
        ("text", ": its variable text has the type char instead of numbers"),
        ("struct", ": its variable struct has the type struct instead of numbers"),
        ("sparse", ": its variable sparse is sparse, which is read of version 7 alone"),
        ("cube", ": its variable cube has 3 dimensions"),
        ("nan", ": its variable nan holds values that are not finite"),
    ],
)
def test_what_is_no_map_in_a_file_of_version_7_3_is_named(path, name, said):
    cube = np.ones((2, 3, 3)), "double"
    write_7_3(path, cube=cube, text=(VALUES.astype("uint16"), "char"), nan=([[1, np.nan]], "double"))
    with pytest.raises(DataError, match=f"^{path}{said}"):
        matlab.read(path, name)


def test_a_damaged_file_of_version_7_3_is_named(path):
    path.write_bytes(b"MATLAB 7.3".ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(1000))
    with pytest.raises(DataError, match="map.mat: cannot be read as HDF5: .*; get the file again"):
        matlab.read(path, "map")


def test_the_size_of_a_small_file_that_would_fill_the_memory_is_told_without_reading_it(path, monkeypatch):
    scipy.io.savemat(path, {"map": np.zeros((4000, 5000))}, do_compression=True)
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(scipy.io, "loadmat", None)
    assert matlab.size_of(path, "map") == (4000, 5000)
