"""Log densities that are constant on the cells of a grid: exact, and as cheap as the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from entreg.numerics import one_thread


@dataclass(frozen=True)
class LogDensity:
    """A batch of log densities in nats, constant on the cells of a grid, each summing to 1 over the pixels.

    grid: (B, h, w), the log density of every pixel of a cell
    rows, columns: (h,) and (w,) integers, the pixel rows and columns that a cell stands for; they sum to H and W
    """

    grid: Tensor
    rows: Tensor
    columns: Tensor

    @classmethod
    def normalised(cls, grid: Tensor, rows: Tensor, columns: Tensor) -> LogDensity:
        """The density proportional to exp(grid): grid minus its logsumexp over all H*W pixels."""
        if (rows == rows[0]).all() and (columns == columns[0]).all():
            # every cell stands for equally many pixels
            pixels = int(rows[0]) * int(columns[0])
            return cls(_Normalised.apply(grid, None, math.log(pixels)), rows, columns)
        return cls(_Normalised.apply(grid, (rows[:, None] * columns).to(grid.dtype).log(), 0.0), rows, columns)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return int(self.rows.sum()), int(self.columns.sum())

    def at(self, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Log density (n,) in nats at pixel (y, x) of the batch's image `image`; each (n,) integers."""
        return self.grid[image, cell_of_pixel(self.rows)[y], cell_of_pixel(self.columns)[x]]

    @one_thread()
    def entropy_nats(self) -> Tensor:
        """Shannon entropy -sum p log p over the H*W pixels: (B,), at most log(H*W), which the uniform density reaches.

        Where p is 0 (log density -inf) p log p is 0.
        """
        p = self.grid.exp()
        plogp = torch.where(p == 0, torch.zeros_like(p), p * self.grid)
        return -(self._pixels() * plogp).sum((-2, -1))

    def full(self) -> Tensor:
        """(B, H, W): the log density of every pixel."""
        return self.grid.repeat_interleave(self.rows, -2).repeat_interleave(self.columns, -1)

    def at_size(self, height: int, width: int) -> LogDensity:
        """Of an image of another size: each of its pixels takes the density at its centre's place, then normalised.

        float64, so that the exponentials of however many pixels sum to 1.
        """
        rows, columns = (
            torch.bincount(cell_of_pixel(counts)[_places(int(counts.sum()), length)], minlength=len(counts))
            for counts, length in ((self.rows, height), (self.columns, width))
        )
        return LogDensity.normalised(self.grid.double(), rows, columns)

    @one_thread()
    def mean(self) -> LogDensity:
        """The batch's mean density (densities are averaged, not log densities), as a batch of one."""
        log_mean = self.grid.logsumexp(0, keepdim=True) - math.log(len(self.grid))
        return LogDensity(log_mean, self.rows, self.columns)

    def _pixels(self) -> Tensor:
        return (self.rows[:, None] * self.columns).to(self.grid.dtype)


class _Normalised(torch.autograd.Function):
    """Grid (B, h, w) minus each one's logsumexp over pixels: to the bit what PyTorch makes of it, in half the memory.

    log_pixels: (h, w) of each cell, or None where all stand for as many; more: what is then added to the logsumexp
    """

    @staticmethod
    @one_thread()
    def forward(ctx: Any, grid: Tensor, log_pixels: Tensor | None, more: float) -> Tensor:
        summed = grid if log_pixels is None else grid + log_pixels
        log_sum = summed.logsumexp((1, 2), keepdim=True)
        ctx.save_for_backward(summed, log_sum)
        # not log_softmax: rounded near log p, its p sum to 1 less exactly, and gradients that nearly cancel show it
        return grid - (log_sum + more)

    @staticmethod
    @once_differentiable
    @one_thread()
    def backward(ctx: Any, gradient: Tensor) -> Any:
        summed, log_sum = ctx.saved_tensors
        p = (summed - log_sum).exp_()
        return p.mul_(-gradient.sum((1, 2), keepdim=True)).add_(gradient), None, None


def cell_of_pixel(counts: Tensor) -> Tensor:
    """(H,) index of the cell that each pixel row (or column) lies in, from the cells' counts (h,)."""
    return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)


def _places(length: int, new_length: int) -> Tensor:
    """(new_length,): of `length` pixels the one that the centre of each of `new_length` lies in, in whole numbers."""
    return (2 * torch.arange(new_length) + 1) * length // (2 * new_length)
