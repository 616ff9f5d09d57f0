"""Write and read log densities: an npz file for each image, and one HDF5 file for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from entreg.errors import DataError, brief
from entreg.io import arrays, files

FORMAT = 1  # the format of the npz: to be raised when an earlier version would read it wrongly


def write(path: Path, log_density: np.ndarray, made_from: str) -> None:
    """Write a map of (H, W) nats, rounded to float32, as `log_density`.

    made_from: a fingerprint of everything that the map depends on
    """
    arrays.write(
        path,
        {
            "log_density": log_density.astype(np.float32),
            "made_from": np.array(made_from),
            "format": np.array(FORMAT),
        },
    )


def read(path: Path) -> np.ndarray:
    """Return the map: (H, W) float32, nats. Raises a DataError where the file is damaged."""
    try:
        return _read(path)[0]
    except Exception as error:  # the reader may raise anything on a damaged file
        raise DataError(f"{path}: damaged ({brief(error)}); remove it, and the same command makes it again") from error


def read_if_current(path: Path, made_from: str) -> np.ndarray | None:
    """Return the map, see `read`; None where there is no file, it is damaged, or was made from something else."""
    try:
        values, file_made_from = _read(path)
    except Exception:  # as in `read`
        return None
    return values if file_made_from == made_from else None


def _read(path: Path) -> tuple[np.ndarray, str]:
    """Return the map and the fingerprint of what it was made from."""
    content = arrays.read(path, FORMAT)
    values = content["log_density"]
    if values.ndim != 2 or values.dtype != np.float32:
        raise ValueError(f"its map has the shape {values.shape} and the type {values.dtype}")
    return values, str(content["made_from"])


def write_hdf5(path: Path, maps: Mapping[str, Path], keys: Mapping[str, str]) -> None:
    """Write a data set of (H, W) float32 nats for each image, as pysaliency's `HDF5Model` reads it.

    maps: the npz file of each image, by its name; keys: the data set's key of each image, by its name
    """

    def save(temporary: str) -> None:
        with h5py.File(temporary, "w") as file:
            file.attrs["type"] = "pysaliency.precomputed_models.predictions"
            file.attrs["version"] = "1.0"
            file.attrs["downscale_factor"] = 1
            file.attrs["dtype"] = "float32"
            for name, path_of_map in maps.items():
                file.create_dataset(keys[name], data=read(path_of_map), compression="gzip")

    # HDF5 opens the file itself
    files.write(path, lambda file: save(file.name))


def shortest(names: Sequence[str]) -> dict[str, str]:
    """Return, by name, the key that pysaliency looks for: the name without the folders that all names share."""
    parts = [PurePosixPath(name).parts for name in names]
    while parts and all(len(of_name) > 1 for of_name in parts) and len({of_name[0] for of_name in parts}) == 1:
        parts = [of_name[1:] for of_name in parts]
    return {name: "/".join(of_name) for name, of_name in zip(names, parts, strict=True)}
