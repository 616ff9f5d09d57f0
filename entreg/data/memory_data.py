"""A data set in memory, which is written once, so that every process of a job reads the same files."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from entreg.data.images import Picture, rgb_of
from entreg.errors import DataError, SettingError
from entreg.io import arrays, digests, files
from entreg.io.leases import make_once

FORMAT = 1  # of what is written; raise it when an earlier version would read it wrongly
STIMULI, FIXATIONS = "stimuli", "fixations.npz"


@dataclass(frozen=True)
class MemoryData:
    """Images and the fixations on them, for `entreg.train`.

    name: the name of the data set
    images: paths, Pillow images or uint8 arrays (H, W, 3), RGB, or (H, W), grey
    image: (n,) for each fixation the number of its image, from 0
    x, y: (n,) pixels of the image, origin top left, x to the right and y down
    subject: (n,) integers; None where it is unknown
    order: (n,) the position in the trial, from 0; fixations of order 0 are left out unless `data.drop_first=false`
    names: of the images; None: their numbers
    """

    name: str
    images: Sequence[Picture]
    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    subject: np.ndarray | None = None
    order: np.ndarray | None = None
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Raise a SettingError where the parts do not fit each other."""
        count, lengths = len(self.images), {key: np.shape(values) for key, values in self._columns.items()}
        if not count or len(set(lengths.values())) != 1 or len(lengths["x"]) != 1:
            raise SettingError(f"{self.name}: fixations are arrays of one length on at least one image, not {lengths}")
        image = self._columns["image"]
        if image.dtype.kind not in "iu" or image.size and not 0 <= image.min() <= image.max() < count:
            raise SettingError(f"{self.name}: `image` holds whole numbers from 0 to {count - 1}, one for each fixation")
        if len(set(self._names)) != count or any(PurePosixPath(name).is_absolute() for name in self._names):
            raise SettingError(f"{self.name}: `names` holds a name of its own for each of the {count} images")
        if any(part in ("", ".", "..") for name in self._names for part in name.split("/")):
            raise SettingError(f"{self.name}: a name is a path below a folder, such as a.png or indoor/a.png")

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of its content, by which its folder is named."""
        content = hashlib.sha256(repr((FORMAT, self._names)).encode())
        for picture in self.images:
            pixels = None if isinstance(picture, (str, Path)) else rgb_of(picture)
            content.update(
                digests.sha256(Path(str(picture))).encode() if pixels is None else repr(pixels.shape).encode()
            )
            content.update(b"" if pixels is None else pixels.tobytes())
        for key, values in self._columns.items():
            content.update(key.encode() + values.tobytes())
        return content.hexdigest()[:20]

    def write(self, store: Path) -> Path:
        """Write images and fixations below the folder of stores, once, and return the folder that holds them."""
        folder = store / "memory" / self.digest
        partial_folder = folder.with_name(f"{folder.name}.partial")

        def make() -> None:
            shutil.rmtree(partial_folder, ignore_errors=True)  # of a process that was killed
            for name, picture in zip(self._names, self.images, strict=True):
                path = partial_folder / STIMULI / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(picture, (str, Path)):
                    shutil.copyfile(picture, path)
                else:
                    files.write(path, partial(Image.fromarray(rgb_of(picture)).save, format="PNG"))
            columns = {"names": np.array(self._names), "format": np.array(FORMAT)} | self._columns
            arrays.write(partial_folder / FIXATIONS, columns)
            partial_folder.replace(folder)

        try:
            make_once(folder, make)
        except OSError as error:
            raise DataError(f"{folder}: cannot be written: {error.strerror}; choose another paths.store") from error
        return folder

    @property
    def _names(self) -> list[str]:
        suffixes = [Path(one).suffix if isinstance(one, (str, Path)) else ".png" for one in self.images]
        numbered = [f"{number:06d}{suffix}" for number, suffix in enumerate(suffixes)]
        return numbered if self.names is None else list(self.names)

    @property
    def _columns(self) -> dict[str, np.ndarray]:
        """The fixations by column, in one type each; what is unknown is left out."""
        columns = {
            key: np.asarray(getattr(self, key))
            for key in ("image", "subject", "order")
            if getattr(self, key) is not None
        }
        return columns | {key: np.asarray(getattr(self, key), dtype=np.float64) for key in ("x", "y")}
