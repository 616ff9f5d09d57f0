"""Maps that another model has predicted, read from files, as densities of the images that are judged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from scipy.special import logsumexp

from entreg.data.dataset import Stimulus
from entreg.data.geometry import Shape
from entreg.data.images import pictures_below, read_grey
from entreg.data.tables.image_names import match
from entreg.errors import DataError, brief
from entreg.io import files
from entreg.io.hdf5 import Reader
from entreg.model.log_density import LogDensity
from entreg.units import Size

HDF5 = (".hdf5", ".h5")
ARRAYS = (".npy", ".npz")
LOG_DENSITY, SALIENCY = "log density", "saliency map"
UNIFORM_SHARE = 0.01  # of the density that a saliency map becomes, which may be 0 where somebody looked
MOST_DIFFERENT = 0.02  # of the shapes of a map and its image, as a share
SUMS_TO_ONE = 0.05  # nats, by which the logarithm of a density's sum may differ from 0


class OtherMaps:
    """The maps of a file or folder.

    path: an HDF5 file with a data set for each image, as pysaliency's HDF5Model reads it, or a folder of npy and npz
        files or pictures, each named like its image
    kinds: what its maps have been so far, LOG_DENSITY or SALIENCY
    """

    def __init__(self, path: Path) -> None:
        """Look at what there is. Raises a DataError where there is no such file or folder, or no map in it."""
        self.path, self.kinds = path, set[str]()
        if path.is_file() and path.suffix.lower() in HDF5:
            with Reader(path) as file:
                self._names = {key: key for key in file.data_sets()}
        elif path.is_dir():
            found = pictures_below(path) | {
                one.relative_to(path).as_posix(): one for one in path.rglob("*") if one.suffix.lower() in ARRAYS
            }
            # an array's name is its image's, with a suffix of its own
            self._names = {name[:-4] if name.endswith(ARRAYS) else name: name for name in sorted(found)}
        else:
            raise DataError(f"{path}: is neither a folder nor an HDF5 file ({', '.join(HDF5)}) of maps")
        if not self._names:
            raise DataError(f"{path}: holds no map: no data set, and no picture, npy or npz file")

    def of(self, stimuli: Iterable[Stimulus]) -> dict[str, str]:
        """Return the name of the map of each image; of images that have no map there is none.

        Raises a DataError where an image may have several maps, or two images the same.
        """
        found = match([stimulus.name for stimulus in stimuli], self._names, self.path, "the data set")
        return {image: self._names[name] for image, name in found.items() if not _lie_apart(image, name)}

    def log_density(self, name: str, stimulus: Stimulus, geometry: Shape, size: Size) -> LogDensity:
        """Return a map as the density of its resized image, a batch of one.

        size: (H, W) of the resized image. Raises a DataError that names a map that cannot be one.
        """
        values = self._read(name)
        if values.ndim != 2 or values.size < 2 or not np.isfinite(values).all():
            raise self._wrong(name, f"holds {values.shape} values, and must hold finite numbers in two dimensions")
        height, width = values.shape
        different = width / height / (stimulus.width_px / stimulus.height_px) - 1
        if abs(different) > MOST_DIFFERENT:
            shape = f"{width}x{height}, and its image {stimulus.name} {stimulus.width_px}x{stimulus.height_px}"
            raise self._wrong(name, f"is {shape}: another shape")
        log_density = self._in_nats(name, values)
        down, across = geometry.seen(stimulus.height_px, stimulus.width_px)
        top, left = height * (1 - down) / 2, width * (1 - across) / 2
        box = left, top, width - left, height - top
        picture = Image.fromarray(log_density.astype(np.float32))
        resized = np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR, box=box), dtype=np.float64)
        each = (torch.ones(n, dtype=torch.long) for n in size)
        return LogDensity.normalised(torch.from_numpy(resized.copy())[None], *each)

    def _in_nats(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the log density, up to a constant, of a log density or of a saliency map."""
        if values.min() < 0:
            total = float(logsumexp(values))
            if abs(total) > SUMS_TO_ONE:
                raise self._wrong(
                    name,
                    f"is neither a log density in nats, whose exponentials sum to 1 and not to exp({total:.3g}), nor a "
                    "saliency map, which has no negative values",
                )
            self.kinds.add(LOG_DENSITY)
            return values
        self.kinds.add(SALIENCY)
        share = values / values.sum() if values.any() else np.full(values.shape, 1 / values.size)
        mixed: np.ndarray = np.log((1 - UNIFORM_SHARE) * share + UNIFORM_SHARE / values.size)
        return mixed

    def _read(self, name: str) -> np.ndarray:
        """Return the values of a map as float64."""
        if self.path.is_file():
            with Reader(self.path) as file:
                return file.numbers(name, 2)
        path = self.path / name
        if path.suffix.lower() not in ARRAYS:
            return read_grey(path).astype(np.float64)
        try:
            with path.open("rb") as file:
                loaded = np.load(file, allow_pickle=False)
                if not isinstance(loaded, np.ndarray):
                    key = "log_density" if "log_density" in loaded.files else loaded.files[0]
                    loaded = loaded[key]
                return np.asarray(loaded, dtype=np.float64)
        except Exception as error:  # a damaged file raises errors of many kinds
            raise DataError(f"{path}: cannot be read as an array: {brief(error)}; {files.WAY_OUT}") from error

    def _wrong(self, name: str, what: str) -> DataError:
        return DataError(f"{self.path}: {brief(name)}: {what}")


def _lie_apart(image: str, name: str) -> bool:
    """Return whether an image and a map lie in folders of different names: Art/001 is not Action/001."""
    folders = [PurePosixPath(one.replace("\\", "/").casefold()).parts[:-1] for one in (image, name)]
    shorter, longer = sorted(folders, key=len)
    return bool(shorter) and longer[len(longer) - len(shorter) :] != shorter
