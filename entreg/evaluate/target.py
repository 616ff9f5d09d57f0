"""A foreign set as models are adapted to it: folds of its images, and its own centre bias without the image and the
fold.

Nothing here depends on a model, so that it is made once for all runs that are judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from entreg.data.splits import folds
from entreg.evaluate.domain import Domain
from entreg.features.grid import downsampled, resized
from entreg.study.part import Size

FEWEST_IMAGES = 20  # below, nothing that is fitted means much
MAP_PIXELS = 3000  # a fit sums over about so many pixels of each map; what is judged is exact


@dataclass(frozen=True)
class SizeGroup:
    """The images of one size (H, W); n of them, with maps of (m_y, m_x) pixels, M of which a fit sums over.

    numbers: (n,) of the images in the domain; fold: (n,) that judges each
    row_counts, column_counts: image pixels that a row (column) of the map stands for
    rows, columns: the map's rows and columns that a fit sums over; log_counts: (M,) what they stand for
    fixation_rows, fixation_columns: (n, most fixations) of the map, padded; weights: (n, most fixations), each image's
        shares of 1, padded with 0
    own: (n, m_y, m_x) nats, the set's KDE without the image
    own_fitted: (n_folds, n, M) and own_at: (n_folds, n): the same without the fold as well, at the pixels that a fit
        sums over, and its mean over the image's fixations
    log_prior: (n,) mean of the Gaussian prior at the fixations, nats
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
    own: Tensor
    own_fitted: Tensor
    own_at: Tensor
    log_prior: Tensor

    def at(self, maps: Tensor) -> Tensor:
        """(n,): the mean of (n, m_y, m_x) maps over each image's fixations."""
        image = torch.arange(len(maps))[:, None]
        return (maps[image, self.fixation_rows, self.fixation_columns] * self.weights).sum(1)


@dataclass(frozen=True)
class Target:
    """All images of a domain, by size. n_folds: ten, or five below 50 images."""

    groups: list[SizeGroup]
    n_folds: int
    n_images: int


def target_of(domain: Domain, map_factor: int, seed: int) -> Target | None:
    """The domain for models whose maps have every map_factor-th pixel; None where it has too few images."""
    n = len(domain.subset)
    if n < FEWEST_IMAGES:
        return None
    n_folds = 10 if n >= 50 else 5
    parts = folds(n, n_folds, seed)
    fold = np.empty(n, dtype=np.int64)
    for number, part in enumerate(parts):
        fold[part] = number
    sizes = domain.subset.sizes
    groups = [
        _group(domain, size, [i for i in range(n) if sizes[i] == size], parts, fold, map_factor)
        for size in sorted(set(sizes))
    ]
    return Target(groups, n_folds, n)


def _group(
    domain: Domain, size: Size, numbers: list[int], parts: list[np.ndarray], fold: np.ndarray, map_factor: int
) -> SizeGroup:
    items = domain.subset.items
    row_counts, column_counts = (_map_counts(length, map_factor) for length in size)
    stride = max(1, round(math.sqrt(len(row_counts) * len(column_counts) / MAP_PIXELS)))
    rows, columns = (torch.arange(stride // 2, len(counts), stride) for counts in (row_counts, column_counts))
    fixated = [_map_pixels(domain.subset.fixations[i], row_counts, column_counts) for i in numbers]
    most = max(len(y) for y, _ in fixated)
    fixation_rows, fixation_columns = torch.zeros(len(numbers), most).long(), torch.zeros(len(numbers), most).long()
    weights = torch.zeros(len(numbers), most)
    for k, (y, x) in enumerate(fixated):
        fixation_rows[k, : len(y)], fixation_columns[k, : len(x)], weights[k, : len(y)] = y, x, 1 / len(y)

    place = {items[i]: k for k, i in enumerate(numbers)}
    fitted = (rows[:, None] * len(column_counts) + columns).flatten().numpy()

    def pixels(item: int) -> np.ndarray:
        y, x = fixated[place[item]]
        return np.concatenate([fitted, (y * len(column_counts) + x).numpy()])

    own = torch.empty(len(numbers), len(row_counts), len(column_counts))
    own_fitted, own_at = torch.empty(len(parts), len(numbers), len(fitted)), torch.empty(len(parts), len(numbers))
    maps = domain.kde.without_folds(
        [items[i] for i in numbers], [[items[i] for i in part] for part in parts], *size, map_factor, pixels
    )
    for item, leave_one_out, left_out in maps:
        k = place[item]
        own[k] = torch.from_numpy(leave_one_out)
        own_fitted[:, k] = torch.from_numpy(left_out[:, : len(fitted)])
        own_at[:, k] = torch.from_numpy(left_out[:, len(fitted) :].mean(1))
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
        own,
        own_fitted,
        own_at,
        log_prior,
    )


def _map_counts(length: int, map_factor: int) -> Tensor:
    """Image rows that each row of the map stands for."""
    rows = len(downsampled(length, map_factor))
    return torch.bincount(resized(rows, length), minlength=rows)


def _map_pixels(fixations: tuple[Tensor, Tensor], row_counts: Tensor, column_counts: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of the map that each fixation (y, x) lies in."""
    (y, x), ends = fixations, (row_counts.cumsum(0), column_counts.cumsum(0))
    return torch.searchsorted(ends[0], y, right=True), torch.searchsorted(ends[1], x, right=True)
