"""Log densities as files: npz of one image each, and all of them in one HDF5 file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from entreg import arrays, files
from entreg.errors import DataError, brief

FORMAT = 1  # of what the npz holds: to be raised when an earlier version would read it wrongly


def write(path: Path, log_density: np.ndarray, made_from: str) -> None:
    """(H, W) nats, rounded to float32, as `log_density`; made_from: a fingerprint of all that it depends on."""
    arrays.write(
        path,
        {
            "log_density": log_density.astype(np.float32),
            "made_from": np.array(made_from),
            "format": np.array(FORMAT),
        },
    )


def read(path: Path) -> np.ndarray:
    """(H, W) float32, nats. DataError names a file that is damaged."""
    try:
        return _read(path)[0]
    except Exception as error:  # a damaged file raises whatever its reader stumbles over
        reason = f"damaged ({brief(error)}); remove it, and the same command makes it again"
        raise DataError(f"{path}: {reason}") from error


def found(path: Path, made_from: str) -> np.ndarray | None:
    """(H, W) float32, nats; None where the file is not there, is damaged, or was made from something else."""
    try:
        values, own = _read(path)
    except Exception:  # as in `read`
        return None
    return values if own == made_from else None


def _read(path: Path) -> tuple[np.ndarray, str]:
    kept = arrays.read(path, FORMAT)
    values = kept["log_density"]
    if values.ndim != 2 or values.dtype != np.float32:
        raise ValueError(f"its map has the shape {values.shape} and the type {values.dtype}")
    return values, str(kept["made_from"])


def write_hdf5(path: Path, maps: Mapping[str, Path], keys: Mapping[str, str]) -> None:
    """One data set for each image: (H, W) float32, nats, as pysaliency's `HDF5Model` reads it.

    maps: the npz of each image, by its name; keys: the data set of each image, by its name
    """

    def save(temporary: str) -> None:
        with h5py.File(temporary, "w") as file:
            file.attrs["type"] = "pysaliency.precomputed_models.predictions"
            file.attrs["version"] = "1.0"
            file.attrs["downscale_factor"] = 1
            file.attrs["dtype"] = "float32"
            for name, own in maps.items():
                file.create_dataset(keys[name], data=read(own), compression="gzip")

    # HDF5 opens the file by itself
    files.write(path, lambda file: save(file.name))


def shortest(names: Sequence[str]) -> dict[str, str]:
    """By name the key that pysaliency looks for: the name without the folders that all names begin with."""
    parts = [PurePosixPath(name).parts for name in names]
    while parts and all(len(one) > 1 for one in parts) and len({one[0] for one in parts}) == 1:
        parts = [one[1:] for one in parts]
    return {name: "/".join(one) for name, one in zip(names, parts, strict=True)}
