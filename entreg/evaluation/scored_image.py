"""A predicted density of one image with the truth: everything that a metric may need, each computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from entreg.evaluation.domain import Truth
from entreg.model.log_density import LogDensity, cell_of_pixel


class ScoredImage:
    """A predicted density of one image, with what it is compared with.

    truth: fixations, blurred density, priors and other images' fixations
    at: (n,) nats, the log density at the fixations
    at_given: by centre bias (`own`: the evaluated set's, `uniform`), the log density at the fixations where the model
        receives that centre bias; only for those that were asked for
    grid: (h, w) nats, the log density of each cell of the model's map
    density: (h, w), the density of each pixel of a cell
    pixels, nonfixations: (h, w), how many pixels and how many fixations of other images lie in each cell
    blurred: the truth's blurred density, prepared for correlations with maps of cells
    """

    def __init__(self, on_map: OnMap, density: LogDensity, given: dict[str, LogDensity]) -> None:
        """Take a density. given: by centre bias, what the model predicts where it receives another centre bias."""
        self.truth, self.pixels, self.nonfixations = on_map.truth, on_map.pixels, on_map.nonfixations
        self.blurred, self._sides = on_map.blurred, on_map.sides
        self.at = _at(density, self.truth)
        self.at_given = {name: _at(other, self.truth) for name, other in given.items()}
        self.grid = density.grid[0].double().numpy()
        self.density = np.exp(self.grid)

    @cached_property
    def full(self) -> np.ndarray:
        """The density of every pixel: (H, W), with the sum 1."""
        full: np.ndarray = self.density.repeat(self._sides[0], 0).repeat(self._sides[1], 1)
        return full

    @cached_property
    def ranked(self) -> Ranked:
        """The cells in ascending order."""
        return Ranked(self.grid)


class OnMap:
    """An image's truth on the grid of the models' maps, computed once for all models that share the grid.

    For its fields see `ScoredImage`.
    """

    def __init__(self, truth: Truth, row_pixels: torch.Tensor, column_pixels: torch.Tensor) -> None:
        """Take the number of pixel rows and columns that each cell of the map covers: (h,) and (w,)."""
        self.truth = truth
        self.sides = [row_pixels.numpy(), column_pixels.numpy()]
        self.pixels = self.sides[0][:, None] * self.sides[1]
        rows, columns = (cell_of_pixel(counts).numpy() for counts in (row_pixels, column_pixels))
        cells = rows[truth.other_y] * self.pixels.shape[1] + columns[truth.other_x]
        self.nonfixations = np.bincount(cells, minlength=self.pixels.size).reshape(self.pixels.shape)
        self.blurred = CentredOnCells(truth.blurred, self.sides)


class Ranked:
    """The values of a map in ascending order, sorted once for all AUCs."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = _float(values)
        # the order of equal values does not matter, since their weights are added in either order
        self._order = np.argsort(self._values, axis=None)
        self._ascending = self._values.ravel()[self._order]

    def auc(self, at: np.ndarray, weights: np.ndarray | int = 1) -> np.ndarray:
        """Return the area under the ROC curve of each fixation, see `metrics.auc`.

        weights: how many nonfixations have each value, whole numbers
        """
        each = np.broadcast_to(weights, self._values.shape).ravel()
        lower_than = np.concatenate([[0.0], np.cumsum(each[self._order], dtype=np.float64)])
        at = _float(at)
        below = lower_than[np.searchsorted(self._ascending, at, "left")]
        not_above = lower_than[np.searchsorted(self._ascending, at, "right")]
        return np.asarray((below + not_above) / (2 * lower_than[-1]))


class CentredOnCells:
    """A map less its mean, with its sum over each cell, computed once for all correlations with maps of cells."""

    def __init__(self, values: np.ndarray, sides: Sequence[np.ndarray]) -> None:
        """Take a map (H, W), and the number of pixel rows and columns of each cell: (h,) and (w,)."""
        self._is_constant = np.ptp(values) == 0
        centred = _float(values) - np.mean(values, dtype=np.float64)
        self._sum_of_squares = np.square(centred).sum()
        assert all(of_axis.min() > 0 for of_axis in sides)  # reduceat would not add up nothing for an empty cell
        rows, columns = (np.cumsum(of_axis) - of_axis for of_axis in sides)
        self._sums = np.add.reduceat(np.add.reduceat(centred, rows, 0), columns, 1)
        self._pixels = sides[0][:, None] * sides[1]

    def cc(self, cells: np.ndarray) -> float:
        """Return the Pearson correlation over pixels with a map that is constant on cells, (h, w), see `metrics.cc`."""
        if self._is_constant or np.ptp(cells) == 0:
            return 0.0
        centred = cells - np.average(cells, weights=self._pixels)
        sum_of_squares = (self._pixels * np.square(centred)).sum()
        return float((centred * self._sums).sum() / math.sqrt(sum_of_squares * self._sum_of_squares))


def _at(density: LogDensity, truth: Truth) -> np.ndarray:
    """Return the log density at the fixations: (n,) nats, float64."""
    y, x = torch.from_numpy(truth.y), torch.from_numpy(truth.x)
    return density.at(torch.zeros_like(y), y, x).double().numpy()


def _float(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)
