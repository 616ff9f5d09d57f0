"""Log densities as files: npz of one image each, and all of them in one HDF5 file."""
from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from entreg import files
from entreg.errors import DataError


def write(path: Path, log_density: np.ndarray, made_from: str) -> None:
    """(H, W) nats, rounded to float32, as `log_density`; made_from: a fingerprint of all that it depends on."""
    content = {"log_density": log_density.astype(np.float32), "made_from": np.array(made_from)}
    files.write(path, lambda file: np.savez_compressed(file, allow_pickle=False, **content))


def read(path: Path) -> np.ndarray:
    """(H, W) float32, nats. DataError names a file that is damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return kept["log_density"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: damaged ({error}); remove it, and the same command makes it again") from error


def is_made_from(path: Path, made_from: str) -> bool:
    """Whether the file is there, can be read, and was made from this."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return str(kept["made_from"]) == made_from
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


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
