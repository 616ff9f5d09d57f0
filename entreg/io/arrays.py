"""Files of arrays (npz) whose checksums are all tested; numpy only tests one when it reads an array's last byte."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from entreg.io import files
from entreg.progress import Progress


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, compressed, and show the progress. Raises a DataError as `files.write` does."""

    def save(file: IO[bytes]) -> None:
        # as np.savez_compressed, which is silent for the minutes that the maps of many runs take
        with (
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            Progress(f"writing {path.name}", len(arrays), "array") as progress,
        ):
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
                progress.step()

    files.write(path, save)


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
