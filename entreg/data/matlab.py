"""Maps in MATLAB files of the versions 4 to 7."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse

from entreg.errors import DataError, brief

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
    with _opened(path):
        variables = {variable: (shape, kind) for variable, shape, kind in scipy.io.whosmat(path, appendmat=False)}
    if name not in variables:
        others = brief(", ".join(variables)) if variables else "none"
        raise DataError(f"{path} has no variable {name} (it holds {others}); key=NAME chooses another")
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
    with _opened(path):
        values = scipy.io.loadmat(path, variable_names=[name], appendmat=False)[name]
        if scipy.sparse.issparse(values):
            values = values.toarray()
    if not isinstance(values, np.ndarray) or values.shape != (rows, columns):
        raise _wrong(path, name, "differs from its header")
    if values.dtype.kind not in "biuf":
        raise _wrong(path, name, "is complex" if values.dtype.kind == "c" else "holds no numbers")
    if not np.isfinite(values).all():
        raise _wrong(path, name, "holds values that are not finite")
    return values


@contextmanager
def _opened(path: Path) -> Iterator[None]:
    try:
        yield
    except NotImplementedError:
        raise DataError(
            f"{path} has MATLAB's version 7.3 (HDF5), which is not supported; save it again in MATLAB: "
            "save(FILE, '-v7')"
        ) from None
    except Exception as error:  # scipy's reader raises errors of many kinds for a damaged file
        raise DataError(f"{path} cannot be read as a MATLAB file: {brief(error)}; get it again") from error


def _wrong(path: Path, name: str, what: str) -> DataError:
    return DataError(f"{path}: its variable {name} {what}; a map is a matrix of finite real numbers")
