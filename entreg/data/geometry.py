"""Resizing images together with the fixations on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from PIL import Image

from entreg.config import Data
from entreg.data.dataset import DataSet, Fixations, inside
from entreg.data.images import read_rgb


class Shape(Protocol):
    """How stored images, and the fixations on them, are resized for the model.

    The fingerprint of a feature store contains the repr of this object.
    """

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the new size (H, W) of a stored image."""

    def image(self, rgb: np.ndarray) -> np.ndarray:
        """Return the resized image (H, W, 3) uint8 of a stored one (h, w, 3) uint8."""

    def points(self, x: np.ndarray, y: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points x, y (n,) of a stored image of this size in pixels of the resized one."""

    def seen(self, height: int, width: int) -> tuple[float, float]:
        """Return the shares of a stored image's height and width that are not cut off."""

    def in_words(self) -> str:
        """Return a description of the resizing."""


def shape_of(settings: Data) -> Shape:
    """Return the geometry that a data set's settings ask for."""
    if settings.geometry == "degrees":
        assert settings.px_per_degree and settings.model_px_per_degree
        return ByDegree(settings.px_per_degree, settings.model_px_per_degree)
    return Geometry(settings.geometry, settings.long_side_px, settings.short_side_px)


@dataclass(frozen=True)
class ByDegree:
    """Images keep their shapes and are scaled to the training set's pixels per degree of visual angle."""

    px_per_degree: float
    model_px_per_degree: float

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the new size (H, W), rounded to whole pixels."""
        scale = self.model_px_per_degree / self.px_per_degree
        return max(1, round(height * scale)), max(1, round(width * scale))

    def image(self, rgb: np.ndarray) -> np.ndarray:
        """Return the resized image (H, W, 3) uint8 of a stored one (h, w, 3) uint8."""
        new_height, new_width = self.size(*rgb.shape[:2])
        return np.array(Image.fromarray(rgb).resize((new_width, new_height), Image.Resampling.BILINEAR))

    def points(self, x: np.ndarray, y: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points x, y (n,) of a stored image of this size in pixels of the resized one."""
        new_height, new_width = self.size(height, width)
        return x * (new_width / width), y * (new_height / height)

    def seen(self, height: int, width: int) -> tuple[float, float]:
        """Return 1 and 1, because nothing is cut off."""
        return 1.0, 1.0

    def in_words(self) -> str:
        """Return the stored pixels per degree and the scale."""
        scaled = (
            "as stored"
            if self.px_per_degree == self.model_px_per_degree
            else (f"scaled by {self.model_px_per_degree / self.px_per_degree:.3f} to {self.model_px_per_degree:g}")
        )
        return f"not stretched; {self.px_per_degree:g} pixels per degree of visual angle, {scaled}"


@dataclass(frozen=True)
class Geometry:
    """Landscapes are resized to (short, long), and portraits to (long, short).

    mode: `stretch` maps the whole image onto the new size, as published for DeepGaze III. `crop` keeps the aspect
        ratio: it
        maps the greatest centred window with the new aspect ratio onto the new size and cuts off the rest.
    """

    mode: str
    long_side_px: int
    short_side_px: int

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the new size (H, W) of a stored image. A square is a portrait, as in the published preprocessing."""
        if height < width:
            return self.short_side_px, self.long_side_px
        return self.long_side_px, self.short_side_px

    def image(self, rgb: np.ndarray) -> np.ndarray:
        """Return the resized image (H, W, 3) uint8 of a stored one (h, w, 3) uint8.

        The filter is Pillow's bilinear one, which antialiases, as published.
        """
        height, width = rgb.shape[:2]
        new_height, new_width = self.size(height, width)
        left, top = self._margins(height, width)
        box = (left, top, width - left, height - top)
        return np.array(Image.fromarray(rgb).resize((new_width, new_height), Image.Resampling.BILINEAR, box=box))

    def points(self, x: np.ndarray, y: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points x, y (n,) of a stored image of this size in pixels of the resized one.

        Points that are cut off lie outside the resized image.
        """
        new_height, new_width = self.size(height, width)
        left, top = self._margins(height, width)
        return (x - left) * (new_width / (width - 2 * left)), (y - top) * (new_height / (height - 2 * top))

    def seen(self, height: int, width: int) -> tuple[float, float]:
        """Return the shares of a stored image's height and width that are not cut off."""
        left, top = self._margins(height, width)
        return 1 - 2 * top / height, 1 - 2 * left / width

    def in_words(self) -> str:
        """Return how images are resized, and the new size."""
        done = "stretched to" if self.mode == "stretch" else "scaled to cover and cut to"
        return f"{done} {self.long_side_px}x{self.short_side_px} (portraits {self.short_side_px}x{self.long_side_px})"

    def _margins(self, height: int, width: int) -> tuple[float, float]:
        """Return how many stored pixels are cut off on the left and on the right, and at the top and at the bottom."""
        if self.mode == "stretch":
            return 0.0, 0.0
        new_height, new_width = self.size(height, width)
        left = max(0.0, (width - height * new_width / new_height) / 2)
        return left, max(0.0, (height - width * new_height / new_width) / 2)


@dataclass(frozen=True)
class Resized:
    """A data set in the sizes that the model receives.

    sizes: the size (H, W) of each image
    fixations: the fixations in pixels of the resized images, sorted by image
    n_outside: the number of fixations that the crop cut off
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
        """The number of fixations on each image: (n,)."""
        return np.bincount(self.fixations.image, minlength=len(self))

    def of(self, i: int) -> Fixations:
        """Return the fixations on image i."""
        return self.fixations[self.rows(i)]

    def rows(self, i: int) -> slice:
        """Return where the fixations on image i are among all."""
        end = int(self._ends[i])
        return slice(end - int(self.counts[i]), end)

    def pooled(self, items: Sequence[int]) -> Fixations:
        """Return the fixations on some images, image after image, in the order of `items`.

        `image` remains the image's number in the whole data set.
        """
        if len(items) and list(items) == list(range(items[0], items[0] + len(items))):
            return self.fixations[self.rows(items[0]).start : self.rows(items[-1]).stop]  # not a copy
        rows = [np.arange(self._ends[i] - self.counts[i], self._ends[i]) for i in items]
        return self.fixations[np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)]

    def sides(self, fixations: Fixations) -> tuple[np.ndarray, np.ndarray]:
        """Return the heights (n,) and widths (n,), in pixels, of the images that these fixations were made on."""
        heights, widths = np.array(self.sizes).T
        return heights[fixations.image], widths[fixations.image]

    def read(self, i: int) -> np.ndarray:
        """Return image i, resized: (H, W, 3) uint8. Raises a DataError where its file cannot be read."""
        return self.geometry.image(read_rgb(self.dataset.stimuli[i].path))

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum(self.counts)


class Photos:
    """Some images of a data set, from which a feature store is built. digests: the SHA-256 of their files."""

    def __init__(self, resized: Resized, items: Sequence[int], digests: Sequence[str]) -> None:
        self._resized, self._items = resized, items
        stimuli = [resized.dataset.stimuli[i] for i in items]
        self.names = [stimulus.name for stimulus in stimuli]
        self.sizes = [resized.sizes[i] for i in items]
        self.contents = [f"{digest} {resized.geometry}" for digest in digests]

    def read(self, i: int) -> np.ndarray:
        """Return image i: (H, W, 3) uint8."""
        return self._resized.read(self._items[i])


def resize(dataset: DataSet, geometry: Shape) -> Resized:
    """Return the data set with resized sizes and fixations. Pixels are resized when they are read."""
    fixations = dataset.fixations
    sizes = [geometry.size(s.height_px, s.width_px) for s in dataset.stimuli]
    bounds = np.searchsorted(fixations.image, np.arange(len(sizes) + 1))
    x, y = np.empty_like(fixations.x), np.empty_like(fixations.y)
    on_image = np.empty(len(x), dtype=bool)
    for i, (stimulus, (height, width)) in enumerate(zip(dataset.stimuli, sizes, strict=True)):
        rows = slice(bounds[i], bounds[i + 1])
        x[rows], y[rows] = geometry.points(fixations.x[rows], fixations.y[rows], stimulus.height_px, stimulus.width_px)
        on_image[rows] = inside(x[rows], y[rows], width, height)
    moved = Fixations(fixations.image, x, y, fixations.subject)
    # a set may have millions of fixations: what all of them share is not copied
    remaining = moved if on_image.all() else moved[on_image]
    return Resized(dataset, geometry, sizes, remaining, len(on_image) - len(remaining))
