"""HDF5 files from unknown sources, read key by key: a missing or malformed value is named, and no link is followed."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from entreg.errors import DataError, brief

WAY_OUT = "get the file again, or write it again with pysaliency"
MOST_VALUES = 500_000_000  # in one data set; a small file can declare any number
# the greatest ratio of values to stored bytes that compression can reach: that of deflate (zlib.net/zlib_tech.html),
# which no other of HDF5's filters exceeds on numbers that differ; values that were never stored have no ratio
MOST_EXPANSION = 1032

# of HDF5's collections of values of any length ("Global Heap", HDF5 File Format Specification, III.E)
HEAP_SIGNATURE = b"GCOL\1"  # with the only version there is
HEAP_HEADER = 16  # bytes before the first object, and before each object's data, for lengths of 4 and 8 bytes
SMALLEST_HEAP = 4096  # bytes; the HDF5 library refuses smaller ones


class Reader:
    """An HDF5 file or one of its groups. Its errors are DataErrors of one line that name the file and the key."""

    def __init__(self, path: Path, group: h5py.Group | None = None) -> None:
        self.path = path
        if group is None:
            try:
                group = h5py.File(path, "r")
                endless = _has_endless_heap(path, group.id.get_create_plist().get_sizes()[1])
            except OSError as error:
                raise DataError(f"{path}: cannot be read as HDF5: {brief(error)}; {WAY_OUT}") from error
            if endless:
                group.close()
                raise DataError(f"{path}: cannot be read as HDF5: a collection in it has no end; {WAY_OUT}")
        self._group = group

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(self._group, h5py.File):
            self._group.close()

    def __contains__(self, key: str) -> bool:
        with self._named(key):
            return key in self._group

    def names(self) -> list[str]:
        """Return the names of everything in the file or group."""
        return sorted(map(str, self._group))

    def data_sets(self) -> list[str]:
        """Return the keys of all data sets in the file and its groups; links to other places are not followed."""
        keys: list[str] = []
        with self._named("its contents"):
            self._group.visititems(lambda key, item: keys.append(str(key)) if isinstance(item, h5py.Dataset) else None)
        return sorted(keys)

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of a data set, read only from its header."""
        return tuple(self._data(key).shape or ())

    def text_attribute(self, key: str, attribute: str) -> str | None:
        """Return an attribute of a data set or group as text; None where there is none."""
        with self._named(key):
            value = self._item(key).attrs.get(attribute)
            return value.decode() if isinstance(value, bytes) else None if value is None else str(value)

    def wrong(self, key: str, what: str) -> DataError:
        """Return the error that says what is wrong with a key."""
        place = "/".join(part for part in (str(self._group.name).strip("/"), key) if part)
        return DataError(f"{self.path}: {brief(place)}: {brief(what)}; {WAY_OUT}")

    def of_kind(self, versions: Mapping[str, Sequence[str]]) -> str:
        """Return the attribute `type`, which must be a key of `versions`, in a version listed there."""
        kind, version = self._attribute("type"), self._attribute("version")
        if kind not in versions:
            raise self.wrong("type", f"is {kind!r} and must be one of {', '.join(versions)}")
        if version not in versions[kind]:
            raise self.wrong("version", f"is {version!r}; for {kind} it must be one of {', '.join(versions[kind])}")
        return kind

    def count(self, key: str) -> int:
        """Return an attribute that is a whole number of at least 1."""
        with self._named(key):
            value = int(self._group.attrs[key])
        if not 1 <= value <= MOST_VALUES:
            raise self.wrong(key, f"is {value}")
        return value

    @contextmanager
    def below(self, key: str) -> Iterator[Reader]:
        """Yield a group."""
        group = self._item(key)
        if not isinstance(group, h5py.Group):
            raise self.wrong(key, "is not a group")
        yield Reader(self.path, group)

    def numbers(self, key: str, ndim: int = 1) -> np.ndarray:
        """Return a data set as float64 of `ndim` dimensions."""
        return self._values(key, "iuf", ndim).astype(np.float64)

    def integers(self, key: str) -> np.ndarray:
        """Return a data set as (n,) int64. The whole numbers may be stored as floats."""
        values = self._values(key, "iuf", 1)
        with np.errstate(invalid="ignore"):
            whole = values.astype(np.int64)
        if not (whole == values).all():
            raise self.wrong(key, "holds values that are not whole numbers")
        return whole

    def plain(self, key: str) -> np.ndarray:
        """Return a data set as (n,) numbers or `str`."""
        values = self._values(key, "iufSO", 1)
        return values if values.dtype.kind in "iuf" else np.array(self._decoded(key, values))

    def texts(self, key: str) -> list[str]:
        """Return a data set of n texts."""
        return self._decoded(key, self._values(key, "SO", 1))

    def rows(self, key: str) -> list[np.ndarray]:
        """Return a data set of n rows of whole numbers, which may differ in length."""
        values = self._values(key, "iuO", None)
        rows = [np.asarray(row) for row in values]
        if any(row.ndim != 1 or row.dtype.kind not in "iu" for row in rows):
            raise self.wrong(key, "holds something other than rows of whole numbers")
        return rows

    def picture(self, key: str) -> np.ndarray:
        """Return a picture: (H, W) or (H, W, 3 or 4), uint8 or uint16; a fourth channel is opaque alpha."""
        values = self._values(key, "u", None)
        is_deep = values.dtype not in (np.uint8, np.uint16)
        if is_deep or values.ndim not in (2, 3) or values.ndim == 3 and values.shape[2] not in (3, 4):
            raise self.wrong(key, f"is not a picture of 8 or 16 bits, but {values.dtype} of shape {values.shape}")
        if values.ndim == 3 and values.shape[2] == 4 and (values[..., 3] != np.iinfo(values.dtype).max).any():
            raise self.wrong(key, "has a fourth channel that is not opaque: CMYK, or transparency; it must be RGB")
        return values

    def _data(self, key: str) -> h5py.Dataset:
        data = self._item(key)
        if not isinstance(data, h5py.Dataset):
            raise self.wrong(key, "is not a data set")
        return data

    def _values(self, key: str, kinds: str, ndim: int | None) -> np.ndarray:
        data = self._data(key)
        # both can read other files
        if data.external or data.is_virtual:
            raise self.wrong(key, "its values lie in another file")
        if data.shape is None or data.size > MOST_VALUES or data.ndim == 0 or ndim not in (None, data.ndim):
            raise self.wrong(key, f"has the shape {data.shape} and must have {ndim or 'some'} dimensions")
        if data.dtype.kind not in kinds:
            raise self.wrong(key, f"holds values of the type {data.dtype}")
        stored_bytes = data.id.get_storage_size()
        if data.nbytes > MOST_EXPANSION * stored_bytes:
            raise self.wrong(key, f"promises {data.size:,} values, and {stored_bytes:,} bytes are stored of them")
        with self._named(key):
            return np.asarray(data[...])

    def _item(self, key: str) -> Any:
        with self._named(key):
            link = self._group.get(key, getlink=True)
            if link is None:
                raise KeyError(key)
            if not isinstance(link, h5py.HardLink):  # other links lead to other places or files
                raise ValueError("is a link to another place")
            return self._group[key]

    def _attribute(self, key: str) -> str:
        with self._named(key):
            value = self._group.attrs[key]
            return value.decode() if isinstance(value, bytes) else str(value)

    def _decoded(self, key: str, values: np.ndarray) -> list[str]:
        with self._named(key):
            return [value.decode() if isinstance(value, bytes) else _text(value) for value in values]

    @contextmanager
    def _named(self, key: str) -> Iterator[None]:
        try:
            yield
        except KeyError:
            raise self.wrong(key, "is missing") from None
        except (OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:  # the file is damaged
            raise self.wrong(key, str(error)) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"holds {type(value).__name__} instead of texts")
    return value


def _has_endless_heap(path: Path, length_bytes: int) -> bool:
    """Return whether a collection of values of any length holds an object that does not end within it.

    The HDF5 library walks the objects of a collection by their sizes, and an object of size 0 keeps it walking for
    ever, with no way to interrupt it (H5HGcache.c of HDF5 1.14). This reads the whole file once.

    length_bytes: the size of a length in this file, nearly always 8
    """
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(HEAP_SIGNATURE)
        while start >= 0:
            size = _length(content, start, length_bytes)
            is_heap = SMALLEST_HEAP <= size <= len(content) - start
            if is_heap and not _heap_ends(content, start, start + size, length_bytes):
                return True
            start = content.find(HEAP_SIGNATURE, start + 1)
    return False


def _heap_ends(content: mmap.mmap, start: int, end: int, length_bytes: int) -> bool:
    at = start + HEAP_HEADER
    while at + HEAP_HEADER <= end:
        size = _length(content, at, length_bytes)
        is_free = content[at : at + 2] == b"\0\0"  # the size of free space includes the header
        taken = size if is_free else HEAP_HEADER + (size + 7) // 8 * 8
        if not HEAP_HEADER <= taken <= end - at:
            return False
        at += taken
    return True


def _length(content: mmap.mmap, at: int, length_bytes: int) -> int:
    return int.from_bytes(content[at + 8 : at + 8 + length_bytes], "little")
