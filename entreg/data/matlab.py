"""MATLAB files: maps, of the versions 4 to 7 through scipy and of 7.3, which is HDF5, and structures of 5 to 7."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import scipy.sparse

from entreg.errors import DataError, brief
from entreg.io.hdf5 import Reader

NUMBERS = (
    "double",
    "single",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "logical",
    "sparse",
)


def size_of(path: Path, name: str) -> tuple[int, int]:
    """Return (rows, columns) of a variable, read only from its header.

    A small compressed file can expand to any size, so the size is checked before the values are read. Raises a
    DataError where the variable is missing or is not a matrix of numbers.
    """
    if _is_hdf5(path):
        with Reader(path) as file:
            return _size_in_hdf5(file, name)
    with _opened(path):
        variables = {variable: (shape, kind) for variable, shape, kind in scipy.io.whosmat(path, appendmat=False)}
    if name not in variables:
        raise _missing(path, name, variables)
    shape, kind = variables[name]
    if kind not in NUMBERS:
        raise _wrong(path, name, f"has the type {kind} instead of numbers")
    if len(shape) != 2:
        raise _wrong(path, name, f"has {len(shape)} dimensions")
    rows, columns = shape
    return rows, columns


def read(path: Path, name: str) -> np.ndarray:
    """Return a variable: (rows, columns) finite numbers. A sparse matrix becomes a full one.

    Raises a DataError where a value is not a finite real number, and as `size_of` does.
    """
    rows, columns = size_of(path, name)
    if _is_hdf5(path):
        with Reader(path) as file:
            values = file.numbers(name, ndim=2).T  # HDF5 holds a matrix column by column, as MATLAB does
        return _finite(path, name, values)
    with _opened(path):
        values = scipy.io.loadmat(path, variable_names=[name], appendmat=False)[name]
        if scipy.sparse.issparse(values):
            values = values.toarray()
    if not isinstance(values, np.ndarray) or values.shape != (rows, columns):
        raise _wrong(path, name, "differs from its header")
    if values.dtype.kind not in "biuf":
        raise _wrong(path, name, "is complex" if values.dtype.kind == "c" else "holds no numbers")
    return _finite(path, name, values)


def rows_of_structures(
    path: Path, name: str, rows_of: Callable[[dict[str, Any]], Iterable[tuple[Any, ...]]]
) -> list[tuple[Any, ...]]:
    """Return the rows that `rows_of` makes of each structure in a variable, an array or cell array of structures.

    Raises a DataError where the file has no such variable, or a structure has other fields.
    """
    with _opened(path):
        content = scipy.io.loadmat(path, variable_names=[name], simplify_cells=True, appendmat=False)
    if name not in content:
        raise DataError(f"{path} has no variable {name}; data.table names another format")
    try:
        return [row for structure in as_list(content[name]) for row in rows_of(structure)]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        what = f"{type(error).__name__} {brief(error)}"
        raise DataError(
            f"{path}: its variable {name} has another structure ({what}); data.table names another"
        ) from error


def as_list(value: Any) -> list[Any]:
    """Return the elements of an array of structures or numbers; MATLAB has no array that differs from one element."""
    return [value] if isinstance(value, dict) else list(np.atleast_1d(value))


def _is_hdf5(path: Path) -> bool:
    """Return whether a file has version 7.3. A file that is not there has none."""
    return bool(h5py.is_hdf5(path))


def _size_in_hdf5(file: Reader, name: str) -> tuple[int, int]:
    if name not in file:
        raise _missing(file.path, name, [other for other in file.names() if not other.startswith("#")])
    kind = file.text_attribute(name, "MATLAB_class")
    if kind not in NUMBERS:
        raise _wrong(file.path, name, f"has the type {kind} instead of numbers")
    if file.text_attribute(name, "MATLAB_sparse") is not None:
        raise _wrong(file.path, name, "is sparse, which is read of version 7 alone: save(FILE, '-v7')")
    shape = file.shape(name)
    if len(shape) != 2:
        raise _wrong(file.path, name, f"has {len(shape)} dimensions")
    columns, rows = shape
    return rows, columns


def _finite(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise _wrong(path, name, "holds values that are not finite")
    return values


def _missing(path: Path, name: str, variables: Collection[str]) -> DataError:
    others = brief(", ".join(variables)) if variables else "none"
    return DataError(f"{path} has no variable {name} (it holds {others}); key=NAME chooses another")


@contextmanager
def _opened(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # scipy's reader raises errors of many kinds for a damaged file
        raise DataError(f"{path} cannot be read as a MATLAB file: {brief(error)}; get it again") from error


def _wrong(path: Path, name: str, what: str) -> DataError:
    return DataError(f"{path}: its variable {name} {what}; a map is a matrix of finite real numbers")
