"""HDF5 files of others, read key by key: whatever is missing or of another form is named, and no link is followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from entreg.data.heap import is_endless
from entreg.errors import DataError, brief

WAY_OUT = "get the file anew, or write it anew with pysaliency"
MOST_VALUES = 500_000_000  # of one data set: a small file can promise any number


class Reader:
    """An HDF5 file, or a group of one. Everything raises DataError, of one line, with the file's path and the key."""

    def __init__(self, path: Path, group: h5py.Group | None = None) -> None:
        self.path = path
        if group is None:
            try:
                group = h5py.File(path, "r")
                endless = is_endless(path, group.id.get_create_plist().get_sizes()[1])
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

    def wrong(self, key: str, what: str) -> DataError:
        """The error that something is wrong with a key."""
        place = "/".join(part for part in (str(self._group.name).strip("/"), key) if part)
        return DataError(f"{self.path}: {brief(place)}: {brief(what)}; {WAY_OUT}")

    def of_kind(self, versions: Mapping[str, Sequence[str]]) -> str:
        """What its attribute `type` says, one of those whose versions are given."""
        kind, version = self._attribute("type"), self._attribute("version")
        if kind not in versions:
            raise self.wrong("type", f"is {kind!r}, and one of {', '.join(versions)} is wanted")
        if version not in versions[kind]:
            raise self.wrong("version", f"is {version!r}; of {kind} the versions {', '.join(versions[kind])} are known")
        return kind

    def count(self, key: str) -> int:
        """A number, at least 1, that is an attribute."""
        with self._named(key):
            value = int(self._group.attrs[key])
        if not 1 <= value <= MOST_VALUES:
            raise self.wrong(key, f"is {value}")
        return value

    @contextmanager
    def below(self, key: str) -> Iterator[Reader]:
        """A group."""
        found = self._item(key)
        if not isinstance(found, h5py.Group):
            raise self.wrong(key, "is no group")
        yield Reader(self.path, found)

    def numbers(self, key: str, ndim: int = 1) -> np.ndarray:
        """float64, of `ndim` dimensions."""
        return self._values(key, "iuf", ndim).astype(np.float64)

    def integers(self, key: str) -> np.ndarray:
        """(n,) int64; numbers that are whole may be stored as floats."""
        values = self._values(key, "iuf", 1)
        with np.errstate(invalid="ignore"):
            whole = values.astype(np.int64)
        if not (whole == values).all():
            raise self.wrong(key, "holds values that are no whole numbers")
        return whole

    def plain(self, key: str) -> np.ndarray:
        """(n,) numbers, or texts as `str`."""
        values = self._values(key, "iufSO", 1)
        return values if values.dtype.kind in "iuf" else np.array(self._decoded(key, values))

    def texts(self, key: str) -> list[str]:
        """n texts."""
        return self._decoded(key, self._values(key, "SO", 1))

    def rows(self, key: str) -> list[np.ndarray]:
        """n rows of whole numbers, not all of one length."""
        values = self._values(key, "iuO", None)
        rows = [np.asarray(row) for row in values]
        if any(row.ndim != 1 or row.dtype.kind not in "iu" for row in rows):
            raise self.wrong(key, "holds something else than rows of whole numbers")
        return rows

    def picture(self, key: str) -> np.ndarray:
        """(H, W) or (H, W, 3 or 4) uint8."""
        values = self._values(key, "u", None)
        if values.dtype != np.uint8 or values.ndim not in (2, 3) or values.ndim == 3 and values.shape[2] not in (3, 4):
            raise self.wrong(key, f"is no picture of 8 bits: {values.dtype} of shape {values.shape}")
        return values

    def _values(self, key: str, kinds: str, ndim: int | None) -> np.ndarray:
        found = self._item(key)
        if not isinstance(found, h5py.Dataset):
            raise self.wrong(key, "is no data set")
        # both can read other files
        if found.external or found.is_virtual:
            raise self.wrong(key, "its values lie in another file")
        if found.shape is None or found.size > MOST_VALUES or found.ndim == 0 or ndim not in (None, found.ndim):
            raise self.wrong(key, f"has the shape {found.shape}, and {ndim or 'some'} dimensions are wanted")
        if found.dtype.kind not in kinds:
            raise self.wrong(key, f"holds values of the type {found.dtype}")
        with self._named(key):
            return np.asarray(found[...])

    def _item(self, key: str) -> Any:
        with self._named(key):
            link = self._group.get(key, getlink=True)
            if link is None:
                raise KeyError(key)
            if not isinstance(link, h5py.HardLink):  # others lead to other places, or files
                raise ValueError("is a link to another place")
            return self._group[key]

    def _attribute(self, key: str) -> str:
        with self._named(key):
            value = self._group.attrs[key]
            return value.decode() if isinstance(value, bytes) else str(value)

    def _decoded(self, key: str, values: np.ndarray) -> list[str]:
        with self._named(key):
            return [one.decode() if isinstance(one, bytes) else _text(one) for one in values]

    @contextmanager
    def _named(self, key: str) -> Iterator[None]:
        try:
            yield
        except KeyError:
            raise self.wrong(key, "is missing") from None
        except (OSError, ValueError, TypeError, RuntimeError, MemoryError) as error:  # h5py's, of a damaged file
            raise self.wrong(key, str(error)) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"holds {type(value).__name__} where texts are wanted")
    return value
