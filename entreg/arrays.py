"""Files of arrays (npz), read whole: numpy tests a checksum only where it happens to reach an array's last byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from entreg import files


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """The arrays by name, compressed. DataError as for `files.write`."""
    # no allow_pickle=False: numpy before 2.1 takes it for one more array
    files.write(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]  # a name might be allow_pickle


def read(path: Path, version: int) -> dict[str, np.ndarray]:
    """All arrays by name. For a damaged file it raises whatever zipfile and numpy stumble over.

    version: of the form that is wanted; a file says its own as `format`, and without one it is of the first.
    ValueError where it is another.
    """
    files.check_zip(path)
    with np.load(path, allow_pickle=False) as opened:
        found = {name: opened[name] for name in opened.files}
    if (own := found.pop("format", 1)) != version:
        raise ValueError(f"it is of the format {own}, and this version of entreg reads {version}")
    return found
