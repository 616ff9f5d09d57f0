"""The points of a data set as they were read, also those outside the images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from entreg.data.dataset import DataSet, inside, sides_px

ENOUGH = 100_000  # points to fit a screen to, or to find a frequent place; for three million both would take 30 s


@dataclass(frozen=True)
class Points:
    """n points on images, (n,) each.

    x, y: finite, in the units and from the origin that the source gave
    width_px, height_px: the stored size of the point's image
    image: its number
    """

    x: np.ndarray
    y: np.ndarray
    width_px: np.ndarray
    height_px: np.ndarray
    image: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice | np.ndarray) -> Points:
        """Return some of the points: a slice or a mask."""
        return Points(self.x[rows], self.y[rows], self.width_px[rows], self.height_px[rows], self.image[rows])

    @property
    def some(self) -> Points:
        """Every k-th point, at most ENOUGH of them."""
        return self[:: -(-len(self) // ENOUGH) or 1]

    @property
    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """The points' x and y as shares of the image's width and height: 0..1 inside the image."""
        return self.x / self.width_px, self.y / self.height_px

    def outside(self, x: np.ndarray | None = None, y: np.ndarray | None = None) -> np.ndarray:
        """Return which points lie outside their images, (n,) bool, or would if these were their x and y."""
        x, y = self.x if x is None else x, self.y if y is None else y
        return ~inside(x, y, self.width_px, self.height_px)


def points_of(dataset: DataSet) -> Points:
    """Return all points that are finite, those inside the images first."""
    image, x, y = (
        np.concatenate([getattr(dataset.fixations, axis), getattr(dataset.outside, axis)])
        for axis in ("image", "x", "y")
    )
    finite = np.isfinite(x) & np.isfinite(y)
    image = image[finite].astype(np.int64)
    width, height = (sides[image].astype(np.float64) for sides in sides_px(dataset.stimuli))
    return Points(x[finite], y[finite], width, height, image)
