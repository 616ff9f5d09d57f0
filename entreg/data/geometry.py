"""Bringing images and their fixations to one size together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from entreg.config import Data
from entreg.data.dataset import DataSet, Fixations
from entreg.data.images import read_rgb
from entreg.errors import DataError


class Shape(Protocol):
    """How stored images, and the fixations on them, become what the model sees. A store's fingerprint has its repr."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(H, W) for a stored image."""

    def image(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 from (h, w, 3) uint8."""

    def points(self, x: np.ndarray, y: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """x, y (n,) of a stored image of this size, in pixels of the resized one."""

    def seen(self, height: int, width: int) -> tuple[float, float]:
        """Shares of a stored image's height and width that are not cut off."""

    def in_words(self) -> str:
        """What becomes of an image."""


def shape_of(settings: Data) -> Shape:
    """The one that a data set's settings say."""
    if settings.geometry == "degrees":
        assert settings.px_per_degree and settings.model_px_per_degree
        return ByDegree(settings.px_per_degree, settings.model_px_per_degree)
    return Geometry(settings.geometry, settings.long_side_px, settings.short_side_px)


@dataclass(frozen=True)
class ByDegree:
    """Every image keeps its shape, and its pixels for a degree of visual angle become those of the training set."""

    px_per_degree: float
    model_px_per_degree: float

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(H, W), each rounded to whole pixels."""
        scale = self.model_px_per_degree / self.px_per_degree
        return max(1, round(height * scale)), max(1, round(width * scale))

    def image(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 from (h, w, 3) uint8; an image of that size is left alone."""
        H, W = self.size(*rgb.shape[:2])
        return np.array(Image.fromarray(rgb).resize((W, H), Image.Resampling.BILINEAR))

    def points(self, x: np.ndarray, y: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """x, y (n,) of a stored image of this size, in pixels of the resized one."""
        H, W = self.size(height, width)
        return x * (W / width), y * (H / height)

    def seen(self, height: int, width: int) -> tuple[float, float]:
        """Everything."""
        return 1.0, 1.0

    def in_words(self) -> str:
        """How large a degree is stored, and how large the model sees it."""
        scaled = (
            "as they are"
            if self.px_per_degree == self.model_px_per_degree
            else (f"scaled by {self.model_px_per_degree / self.px_per_degree:.3f} to {self.model_px_per_degree:g}")
        )
        return f"not stretched; {self.px_per_degree:g} pixels for a degree of visual angle, {scaled}"


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
        return np.array(Image.fromarray(rgb).resize((W, H), Image.Resampling.BILINEAR, box=box))

    def points(self, x: np.ndarray, y: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """x, y (n,) of a stored image of this size, in pixels of the resized one; what was cut off lies outside it."""
        H, W = self.size(height, width)
        left, top = self._margins(height, width)
        return (x - left) * (W / (width - 2 * left)), (y - top) * (H / (height - 2 * top))

    def seen(self, height: int, width: int) -> tuple[float, float]:
        """Shares of a stored image's height and width that are not cut off."""
        left, top = self._margins(height, width)
        return 1 - 2 * top / height, 1 - 2 * left / width

    def in_words(self) -> str:
        """The size, and how images come to it."""
        done = "stretched to" if self.mode == "stretch" else "scaled to cover and cut to"
        return f"{done} {self.long_side_px}x{self.short_side_px} (portraits {self.short_side_px}x{self.long_side_px})"

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
    fixations: in pixels of the resized images, sorted by image
    n_outside: fixations that the crop cut off
    """

    dataset: DataSet
    geometry: Shape
    sizes: list[tuple[int, int]]
    fixations: Fixations
    n_outside: int

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def counts(self) -> np.ndarray:
        """(n,) number of fixations on each image."""
        return np.bincount(self.fixations.image, minlength=len(self))

    def of(self, i: int) -> Fixations:
        """The fixations on image i."""
        end = int(self._ends[i])
        return self.fixations[end - int(self.counts[i]) : end]

    def pooled(self, items: Sequence[int]) -> Fixations:
        """The fixations on some images, image after image in the order of `items`; `image` is the image's number."""
        rows = [np.arange(self._ends[i] - self.counts[i], self._ends[i]) for i in items]
        return self.fixations[np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)]

    def elsewhere(self, i: int) -> Fixations:
        """The fixations on all other images."""
        return self.fixations[self.fixations.image != i]

    def sides(self, fixations: Fixations) -> tuple[np.ndarray, np.ndarray]:
        """(n,) heights and (n,) widths, pixels, of the images that these fixations were made on."""
        heights, widths = np.array(self.sizes).T
        return heights[fixations.image], widths[fixations.image]

    def read(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8: image i, resized. DataError where its file cannot be read."""
        return self.geometry.image(read_rgb(self.dataset.stimuli[i].path))

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.counts)


class Photos:
    """Some images of a data set, as a feature store sees them."""

    def __init__(self, resized: Resized, items: Sequence[int]) -> None:
        self._resized, self._items = resized, items
        stimuli = [resized.dataset.stimuli[i] for i in items]
        self.names = [stimulus.name for stimulus in stimuli]
        self.sizes = [resized.sizes[i] for i in items]
        with ThreadPoolExecutor() as pool:
            self.contents = [f"{h} {resized.geometry}" for h in pool.map(_sha256, (s.path for s in stimuli))]

    def read(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8."""
        return self._resized.read(self._items[i])


def resize(dataset: DataSet, geometry: Shape) -> Resized:
    """The data set's sizes and fixations under the geometry; pixels are resized when read."""
    fixations = dataset.fixations
    sizes = [geometry.size(s.height_px, s.width_px) for s in dataset.stimuli]
    bounds = np.searchsorted(fixations.image, np.arange(len(sizes) + 1))
    x, y = np.empty_like(fixations.x), np.empty_like(fixations.y)
    inside = np.empty(len(x), dtype=bool)
    for i, (stimulus, (H, W)) in enumerate(zip(dataset.stimuli, sizes, strict=True)):
        part = slice(bounds[i], bounds[i + 1])
        x[part], y[part] = geometry.points(fixations.x[part], fixations.y[part], stimulus.height_px, stimulus.width_px)
        inside[part] = (x[part] >= 0) & (y[part] >= 0) & (x[part] < W) & (y[part] < H)
    moved = Fixations(fixations.image, x, y, fixations.subject)
    return Resized(dataset, geometry, sizes, moved[inside], int((~inside).sum()))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
