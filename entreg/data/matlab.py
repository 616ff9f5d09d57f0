"""Maps in MATLAB's own files, of the versions 4 to 7."""

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
    """(rows, columns) of a variable, from its header alone. DataError where it is no matrix of numbers, or not there.

    A small compressed file can hold any size, so the size is looked at before the values are read.
    """
    with _opened(path):
        found = {variable: (shape, kind) for variable, shape, kind in scipy.io.whosmat(path, appendmat=False)}
    if name not in found:
        others = brief(", ".join(found)) if found else "none"
        raise DataError(f"{path} has no variable {name} (it holds {others}); key=NAME tells another")
    shape, kind = found[name]
    if kind not in NUMBERS:
        raise _wrong(path, name, f"is of the kind {kind}, no numbers")
    if len(shape) != 2:
        raise _wrong(path, name, f"has {len(shape)} dimensions")
    rows, columns = shape
    return rows, columns


def read(path: Path, name: str) -> np.ndarray:
    """(rows, columns) numbers, finite; see `size_of` for what else is refused. A sparse matrix becomes a full one."""
    rows, columns = size_of(path, name)
    with _opened(path):
        values = scipy.io.loadmat(path, variable_names=[name], appendmat=False)[name]
        if scipy.sparse.issparse(values):
            values = values.toarray()
    if not isinstance(values, np.ndarray) or values.shape != (rows, columns):
        raise _wrong(path, name, "is not what its header says")
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
            f"{path} is of MATLAB's version 7.3 (HDF5), which is not read; save it there anew: save(FILE, '-v7')"
        ) from None
    except Exception as error:  # a damaged file raises whatever scipy's reader stumbles over
        raise DataError(f"{path} cannot be read as a MATLAB file: {brief(error)}; get it anew") from error


def _wrong(path: Path, name: str, what: str) -> DataError:
    return DataError(f"{path}: its variable {name} {what}; a map is a matrix of finite real numbers")
