"""Log densities that are constant on the cells of a grid. They are exact, and cost as little as the grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from entreg.distributed.threads import one_thread


@dataclass(frozen=True)
class LogDensity:
    """A batch of log densities in nats, constant on the cells of a grid, each summing to 1 over the pixels.

    grid: (B, h, w), the log density of every pixel of a cell
    rows, columns: (h,) and (w,) integers, the pixel rows and columns that a cell covers; they sum to H and W
    """

    grid: Tensor
    rows: Tensor
    columns: Tensor

    @classmethod
    def normalised(cls, grid: Tensor, rows: Tensor, columns: Tensor) -> LogDensity:
        """Return the density proportional to exp(grid): grid minus its logsumexp over all H*W pixels."""
        if (rows == rows[0]).all() and (columns == columns[0]).all():
            # every cell covers equally many pixels
            pixels = int(rows[0]) * int(columns[0])
            return cls(_Normalised.apply(grid, None, math.log(pixels)), rows, columns)
        return cls(_Normalised.apply(grid, (rows[:, None] * columns).to(grid.dtype).log(), 0.0), rows, columns)

    @property
    def size(self) -> tuple[int, int]:
        """The size (H, W) in pixels."""
        return int(self.rows.sum()), int(self.columns.sum())

    def at(self, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Return the log density at pixel (y, x) of image `image` of the batch, each (n,) integers: (n,) nats."""
        return self.grid[image, cell_of_pixel(self.rows)[y], cell_of_pixel(self.columns)[x]]

    def entropy_nats(self) -> Tensor:
        """Return the Shannon entropy -sum p log p over the H*W pixels: (B,).

        It is at most log(H*W), which the uniform density reaches. Where p is 0 (log density -inf), p log p is 0.
        """
        entropy: Tensor = _Entropy.apply(self.grid, self._pixels())
        return entropy

    def full(self) -> Tensor:
        """Return the log density of every pixel: (B, H, W)."""
        return self.grid.repeat_interleave(self.rows, -2).repeat_interleave(self.columns, -1)

    def at_size(self, height: int, width: int) -> LogDensity:
        """Return the normalised density of an image of another size, whose pixels take the density at their centres.

        It is float64, so that the exponentials of any number of pixels sum to 1.
        """
        rows, columns = (
            torch.bincount(cell_of_pixel(counts)[centres(int(counts.sum()), length)], minlength=len(counts))
            for counts, length in ((self.rows, height), (self.columns, width))
        )
        return LogDensity.normalised(self.grid.double(), rows, columns)

    @one_thread()
    def mean(self) -> LogDensity:
        """Return the batch's mean density as a batch of one. The densities are averaged, not the log densities."""
        log_mean = self.grid.logsumexp(0, keepdim=True) - math.log(len(self.grid))
        return LogDensity(log_mean, self.rows, self.columns)

    def _pixels(self) -> Tensor:
        return (self.rows[:, None] * self.columns).to(self.grid.dtype)


class _Normalised(torch.autograd.Function):
    """The grid (B, h, w) minus the logsumexp over the pixels of each image, with PyTorch's bits in half the memory.

    log_pixels: (h, w) the logarithm of the number of pixels of each cell; None where all cells have equally many
    more: the logarithm of that number, which is then added to the logsumexp
    """

    @staticmethod
    @one_thread()
    def forward(ctx: Any, grid: Tensor, log_pixels: Tensor | None, more: float) -> Tensor:
        summed = grid if log_pixels is None else grid + log_pixels
        log_sum = summed.logsumexp((1, 2), keepdim=True)
        ctx.save_for_backward(summed, log_sum)
        # not log_softmax, whose densities sum to 1 less exactly, which affects gradients that nearly cancel
        return grid - (log_sum + more)

    @staticmethod
    @once_differentiable
    @one_thread()
    def backward(ctx: Any, gradient: Tensor) -> Any:
        summed, log_sum = ctx.saved_tensors
        p = (summed - log_sum).exp_()
        return p.mul_(-gradient.sum((1, 2), keepdim=True)).add_(gradient), None, None


class _Entropy(torch.autograd.Function):
    """The entropies -sum n p log p, n the pixels of each cell (h, w). Their gradient by log p is -n p (log p + 1)."""

    @staticmethod
    @one_thread()
    def forward(ctx: Any, grid: Tensor, pixels: Tensor) -> Tensor:
        np = grid.exp().mul_(pixels)
        terms = torch.where(np == 0, torch.zeros_like(np), np * grid)
        ctx.save_for_backward(np, terms)
        return -terms.sum((-2, -1))

    @staticmethod
    @once_differentiable
    @one_thread()
    def backward(ctx: Any, gradient: Tensor) -> Any:
        np, terms = ctx.saved_tensors
        return (np + terms).mul_(-gradient[:, None, None]), None


@one_thread()  # torch wakes all threads for a few hundred numbers
def cell_of_pixel(counts: Tensor) -> Tensor:
    """Return the index of the cell of each pixel row (or column), from the cells' counts (h,): (H,)."""
    return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)


def centres(length: int, new_length: int, device: torch.device | None = None) -> Tensor:
    """Return which of `length` pixels contains the centre of each of `new_length` pixels: (new_length,)."""
    return (2 * torch.arange(new_length, device=device) + 1) * length // (2 * new_length)
