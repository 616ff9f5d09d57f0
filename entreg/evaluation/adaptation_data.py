"""A foreign set as models are adapted to it: folds of its images, and its own centre bias.

The centre bias of an image leaves out the image's own fixations and, for a fit, those of the fold that is scored.
Nothing here depends on a model, so that it is computed once for all runs that are evaluated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from entreg.data.splits import folds
from entreg.evaluation.domain import Domain
from entreg.features.grid import downsampled, resized
from entreg.priors.parts import parts
from entreg.units import Size

FEWEST_IMAGES = 20  # fitted numbers mean little with fewer
MAP_PIXELS = 3000  # a fit sums over about so many pixels of each map; the scores are exact


@dataclass(frozen=True)
class SizeGroup:
    """The images of one size (H, W); n of them, with maps of (m_y, m_x) pixels, M of which a fit sums over.

    numbers: (n,) the images' numbers in the domain; fold: (n,) the fold that each image is in
    row_counts, column_counts: how many image pixels each row (column) of the map stands for
    rows, columns: the map's rows and columns that a fit sums over; log_counts: (M,) the logarithm of how many image
        pixels each of these map pixels stands for
    fixation_rows, fixation_columns: (n, most fixations) the map pixel of each fixation, padded
    weights: (n, most fixations) the share of each fixation in its image's mean, padded with 0
    kde: (n, m_y, m_x) nats, the set's KDE without the image
    kde_fitted, kde_at: (n_folds, n, M) and (n_folds, n): the same without the fold as well, at the pixels that a fit
        sums over, and its mean over the image's fixations
    log_prior: (n,) mean of the Gaussian log prior over the fixations, nats
    """

    size: Size
    numbers: np.ndarray
    fold: np.ndarray
    row_counts: Tensor
    column_counts: Tensor
    rows: Tensor
    columns: Tensor
    log_counts: Tensor
    fixation_rows: Tensor
    fixation_columns: Tensor
    weights: Tensor
    kde: Tensor
    kde_fitted: Tensor
    kde_at: Tensor
    log_prior: Tensor

    def at(self, maps: Tensor, images: Tensor | slice = slice(None)) -> Tensor:
        """Return the mean of maps (k, m_y, m_x) over each image's fixations: (k,). images: those of the maps."""
        image = torch.arange(len(maps))[:, None]
        fixated = maps[image, self.fixation_rows[images], self.fixation_columns[images]]
        return (fixated * self.weights[images]).sum(1)

    def blurred_at(self, readouts: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the mean of each image's blurred readout over its fixations: (n,). Whole maps are not computed for it.

        rows, columns: the matrices that resize and blur. A fixation takes a row of each, so that some images are in
        memory at a time. Large arrays that come and go would also leave holes in the heap that grow from blur to blur.
        """
        n, most = self.weights.shape
        means = []
        for images in parts(n, most * readouts.shape[2]):
            by_row = torch.bmm(rows[self.fixation_rows[images]], readouts[images])
            blurred = (by_row * columns[self.fixation_columns[images]]).sum(2)
            means.append((blurred * self.weights[images]).sum(1))
        return torch.cat(means)


@dataclass(frozen=True)
class AdaptationData:
    """All images of a domain, by size. n_folds: ten, or five where there are fewer than 50 images."""

    groups: list[SizeGroup]
    n_folds: int
    n_images: int


def adaptation_data_of(domain: Domain, map_factor: int, seed: int) -> AdaptationData | None:
    """Return the domain for models whose maps hold every map_factor-th pixel; None where it has too few images."""
    n = len(domain.subset)
    if n < FEWEST_IMAGES:
        return None
    n_folds = 10 if n >= 50 else 5
    fold_images = folds(n, n_folds, seed)
    fold = np.empty(n, dtype=np.int64)
    for number, images in enumerate(fold_images):
        fold[images] = number
    sizes = domain.subset.sizes
    groups = [
        _group(domain, size, [i for i in range(n) if sizes[i] == size], fold_images, fold, map_factor)
        for size in sorted(set(sizes))
    ]
    return AdaptationData(groups, n_folds, n)


def _group(
    domain: Domain, size: Size, numbers: list[int], fold_images: list[np.ndarray], fold: np.ndarray, map_factor: int
) -> SizeGroup:
    """Return the images of one size. fold_images: the images of each fold; fold: the fold of each image."""
    items = domain.subset.items
    row_counts, column_counts = (_map_counts(length, map_factor) for length in size)
    stride = max(1, round(math.sqrt(len(row_counts) * len(column_counts) / MAP_PIXELS)))
    rows, columns = (torch.arange(stride // 2, len(counts), stride) for counts in (row_counts, column_counts))
    fixated = [_map_pixels(domain.subset.fixations[i], row_counts, column_counts) for i in numbers]
    most = max(len(y) for y, _ in fixated)
    fixation_rows, fixation_columns = torch.zeros(2, len(numbers), most, dtype=torch.int32)
    weights = torch.zeros(len(numbers), most)
    for k, (y, x) in enumerate(fixated):
        fixation_rows[k, : len(y)], fixation_columns[k, : len(x)], weights[k, : len(y)] = y, x, 1 / len(y)

    place_of_item = {items[i]: k for k, i in enumerate(numbers)}
    fitted = (rows[:, None] * len(column_counts) + columns).flatten().numpy()

    def pixels(item: int) -> np.ndarray:
        """Return the map pixels at which the KDE is computed: those that a fit sums over, and the fixated ones."""
        y, x = fixated[place_of_item[item]]
        return np.concatenate([fitted, (y * len(column_counts) + x).numpy()])

    kde = torch.empty(len(numbers), len(row_counts), len(column_counts))
    kde_fitted, kde_at = (
        torch.empty(len(fold_images), len(numbers), len(fitted)),
        torch.empty(len(fold_images), len(numbers)),
    )
    maps = domain.kde.without_folds(
        [items[i] for i in numbers], [[items[i] for i in images] for images in fold_images], *size, map_factor, pixels
    )
    for item, leave_one_out, left_out in maps:
        k = place_of_item[item]
        kde[k] = torch.from_numpy(leave_one_out)
        kde_fitted[:, k] = torch.from_numpy(left_out[:, : len(fitted)])
        kde_at[:, k] = torch.from_numpy(left_out[:, len(fitted) :].mean(1))
    log_prior = torch.tensor([domain.log_gaussian[i].mean() for i in numbers], dtype=torch.float64)
    counts = (row_counts[rows][:, None] * column_counts[columns]).flatten().float() * stride**2
    return SizeGroup(
        size,
        np.array(numbers),
        fold[numbers],
        row_counts,
        column_counts,
        rows,
        columns,
        counts.log(),
        fixation_rows,
        fixation_columns,
        weights,
        kde,
        kde_fitted,
        kde_at,
        log_prior,
    )


def _map_counts(length: int, map_factor: int) -> Tensor:
    """Return how many image rows each row of the map stands for."""
    rows = len(downsampled(length, map_factor))
    return torch.bincount(resized(rows, length), minlength=rows)


def _map_pixels(fixations: tuple[Tensor, Tensor], row_counts: Tensor, column_counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the row and column of the map that each fixation (y, x) lies in."""
    (y, x), ends = fixations, (row_counts.cumsum(0), column_counts.cumsum(0))
    return torch.searchsorted(ends[0], y, right=True), torch.searchsorted(ends[1], x, right=True)
