"""The cells of an image: blocks of pixels on which all taps of the published model are constant.

Every resize of the model is nearest neighbour, so its maps are constant on blocks. `Grid` holds the largest blocks on
which all taps are constant (cells), and how often each occurs, so that the networks run once per cell instead of once
per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """One axis of an image (rows or columns).

    taps: for each tap, (n,) the index of its row at every cell
    counts: (n,) the number of rows of the readout that each cell covers
    map_cells: (m,) the cell at every row of the blurred map
    map_counts: (m,) the number of image pixels that each row of the blurred map covers
    center_bias: (m,) the pixel whose centre bias each row of the blurred map reads
    """

    taps: tuple[Tensor, ...]
    counts: Tensor
    map_cells: Tensor
    map_counts: Tensor
    center_bias: Tensor


@dataclass(frozen=True)
class Grid:
    """Rows and columns of the cells for images of one size (H, W)."""

    rows: Axis
    columns: Axis

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.rows.counts) * len(self.columns.counts)

    def weights(self) -> Tensor | None:
        """Return the share of the readout's positions that each cell covers: (cells,). None where all are equal."""
        counts = (self.rows.counts[:, None] * self.columns.counts).flatten()
        return None if (counts == counts[0]).all() else counts.double() / counts.sum()

    def gather(self, taps: list[Tensor]) -> Tensor:
        """Return the taps (B, C_k, h_k, w_k) at every cell, positions-major: (B, cells, sum of C_k)."""
        cells = [
            tap.permute(0, 2, 3, 1)[:, y[:, None], x]
            for tap, y, x in zip(taps, self.rows.taps, self.columns.taps, strict=True)
        ]
        return torch.cat(cells, -1).flatten(1, 2)


@lru_cache(maxsize=64)
def grid_of(
    size: tuple[int, int], tap_sizes: tuple[tuple[int, int], ...], downsample: int, readout_factor: int, map_factor: int
) -> Grid:
    """Return the grid of images of `size` (H, W) whose taps have `tap_sizes` (h_k, w_k)."""
    rows, columns = (
        _axis(size[i], tuple(tap[i] for tap in tap_sizes), downsample, readout_factor, map_factor) for i in (0, 1)
    )
    return Grid(rows, columns)


def downsampled(length: int, factor: int) -> Tensor:
    """Return the source index floor(i*factor) of each pixel after a nearest resize by 1/factor: (length // factor,)."""
    return _resample(length, scale_factor=1 / factor)


def resized(length: int, new_length: int) -> Tensor:
    """Return the source index of each pixel after a nearest resize to `new_length`: (new_length,)."""
    return _resample(length, size=new_length)


def rounds_otherwise_in_float64(
    size: tuple[int, int], tap_sizes: tuple[tuple[int, int], ...], downsample: int, readout_factor: int
) -> bool:
    """Return whether a resize that is computed in float64 reads other pixels or cells of images of this size.

    The recorded layout of a store distinguishes such sizes.
    """
    return any(
        _differs(size[axis], scale_factor=1 / downsample)
        or any(_differs(tap[axis], size=_readout(size[axis], downsample, readout_factor)) for tap in tap_sizes)
        for axis in (0, 1)
    )


def _differs(length: int, **to: Any) -> bool:
    return not torch.equal(_resample(length, **to), _resample(length, torch.float64, **to))


def _readout(length: int, downsample: int, readout_factor: int) -> int:
    return -(-length // (downsample * readout_factor))


def _resample(length: int, dtype: torch.dtype = torch.float32, **to: Any) -> Tensor:
    # PyTorch's own resize is used, because its rounding in float32 is the published model's rounding
    return F.interpolate(torch.arange(length, dtype=dtype)[None, None], mode="nearest", **to)[0, 0].long()


def _axis(length: int, taps: tuple[int, ...], downsample: int, readout_factor: int, map_factor: int) -> Axis:
    readout = _readout(length, downsample, readout_factor)
    sources = torch.stack([resized(tap, readout) for tap in taps])
    # neighbouring rows of the readout that read the same row of every tap form one cell
    new_cell = torch.ones(readout, dtype=torch.bool)
    new_cell[1:] = (sources[:, 1:] != sources[:, :-1]).any(0)
    cell = new_cell.cumsum(0) - 1
    center_bias = downsampled(length, map_factor)
    map_length = len(center_bias)
    map_cells = cell[resized(readout, map_length)]
    map_counts = torch.bincount(resized(map_length, length), minlength=map_length)
    return Axis(tuple(sources[:, new_cell]), torch.bincount(cell), map_cells, map_counts, center_bias)
