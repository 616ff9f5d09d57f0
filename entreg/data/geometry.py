"""Bringing images and their fixations to one size together."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from entreg.data.dataset import DataSet
from entreg.data.image import read_rgb


@dataclass(frozen=True)
class Geometry:
    """How stored images become (short, long) landscapes and (long, short) portraits.

    mode: `stretch` maps the whole image onto the size, as published for DeepGaze III; `crop` keeps the aspect: it maps
    the greatest centred window that has the size's aspect, so that the size is covered and the rest cut off.
    """

    mode: str
    long_side_px: int
    short_side_px: int

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(H, W) for a stored image. A square counts as portrait, as in the published preprocessing."""
        if height < width:
            return self.short_side_px, self.long_side_px
        return self.long_side_px, self.short_side_px

    def image(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 from (h, w, 3) uint8. Pillow's bilinear filter, which antialiases, as published."""
        height, width = rgb.shape[:2]
        H, W = self.size(height, width)
        left, top = self._margins(height, width)
        box = (left, top, width - left, height - top)
        return np.array(Image.fromarray(rgb).resize((W, H), Image.BILINEAR, box=box))

    def points(self, x: np.ndarray, y: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """x, y (n,) of a stored image of this size, in pixels of the resized one; what was cut off lies outside it."""
        H, W = self.size(height, width)
        left, top = self._margins(height, width)
        return (x - left) * (W / (width - 2 * left)), (y - top) * (H / (height - 2 * top))

    def seen(self, height: int, width: int) -> tuple[float, float]:
        """Shares of a stored image's height and width that are not cut off."""
        left, top = self._margins(height, width)
        return 1 - 2 * top / height, 1 - 2 * left / width

    def _margins(self, height: int, width: int) -> tuple[float, float]:
        """Stored pixels cut off (at the left and at the right, at the top and at the bottom)."""
        if self.mode == "stretch":
            return 0.0, 0.0
        H, W = self.size(height, width)
        return max(0.0, (width - height * W / H) / 2), max(0.0, (height - width * H / W) / 2)


@dataclass(frozen=True)
class Resized:
    """A data set in the sizes that the model sees.

    sizes: (H, W) of each image
    x, y: (n,) float64, fixations in pixels of the resized images, sorted by image; those of image i are
        offsets[i]:offsets[i + 1]
    subject: (n,) index of the person, or None
    n_outside: fixations that the crop cut off
    """

    dataset: DataSet
    geometry: Geometry
    sizes: list[tuple[int, int]]
    x: np.ndarray
    y: np.ndarray
    subject: np.ndarray | None
    offsets: np.ndarray
    n_outside: int

    def fixations(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """(y_px, x_px), int64: the pixels of image i's fixations."""
        part = slice(self.offsets[i], self.offsets[i + 1])
        return np.floor(self.y[part]).astype(np.int64), np.floor(self.x[part]).astype(np.int64)

    def read(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8: image i, resized. DataError where its file cannot be read."""
        return self.geometry.image(read_rgb(self.dataset.stimuli[i].path))


def resize(dataset: DataSet, geometry: Geometry) -> Resized:
    """The data set's sizes and fixations under the geometry; pixels are resized when read."""
    stimuli, fixations = dataset.stimuli, dataset.fixations
    sizes = [geometry.size(s.height_px, s.width_px) for s in stimuli]
    bounds = np.searchsorted(fixations.image, np.arange(len(stimuli) + 1))
    x, y = np.empty_like(fixations.x), np.empty_like(fixations.y)
    inside = np.empty(len(x), dtype=bool)
    for i, (stimulus, (H, W)) in enumerate(zip(stimuli, sizes)):
        part = slice(bounds[i], bounds[i + 1])
        x[part], y[part] = geometry.points(fixations.x[part], fixations.y[part], stimulus.height_px, stimulus.width_px)
        inside[part] = (x[part] >= 0) & (y[part] >= 0) & (x[part] < W) & (y[part] < H)
    offsets = np.searchsorted(fixations.image[inside], np.arange(len(stimuli) + 1))
    subject = None if fixations.subject is None else fixations.subject[inside]
    return Resized(dataset, geometry, sizes, x[inside], y[inside], subject, offsets, int((~inside).sum()))
