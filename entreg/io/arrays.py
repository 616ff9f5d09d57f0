"""Files of arrays (npz) whose checksums are all tested; numpy only tests one when it reads an array's last byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from entreg.io import files


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays by name, compressed. Raises a DataError as `files.write` does."""
    # without allow_pickle=False, which numpy before 2.1 takes for another array
    names: dict[str, Any] = dict(arrays)
    files.write(path, lambda file: np.savez_compressed(file, **names))


def read(path: Path, version: int) -> dict[str, np.ndarray]:
    """Return all arrays by name.

    version: the format that the caller reads. A file stores its own as `format`; without one it has format 1.

    Raises a ValueError where the file has another format, and errors of zipfile and numpy where it is damaged.
    """
    files.check_zip(path)
    with np.load(path, allow_pickle=False) as opened:
        arrays = {name: opened[name] for name in opened.files}
    if (stored_version := arrays.pop("format", 1)) != version:
        raise ValueError(f"it has format {stored_version}, and this version of entreg reads format {version}")
    return arrays
