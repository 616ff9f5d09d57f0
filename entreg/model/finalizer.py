"""DeepGaze III's finalizer, which turns a readout into a log density (Kuemmerer et al. 2022), separably on the grid."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from entreg.distributed.threads import one_thread
from entreg.features.grid import Axis, Grid
from entreg.model.exact_operations import bmm
from entreg.model.log_density import LogDensity


class Gauss(nn.Module):
    """A Gaussian with a learned sigma, in pixels of the blurred map."""

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        self.sigma = nn.Parameter(torch.tensor(float(sigma_px)))

    def kernel(self) -> Tensor:
        """Return the kernel's weights, see `gaussian_kernel`."""
        return gaussian_kernel(self.sigma)

    def matrix(self, axis: Axis) -> Tensor:
        """Return the matrix of this blur, see `blur_matrix`."""
        return blur_matrix(self.sigma, axis)


class Finalizer(nn.Module):
    """The finalizer: it computes a log density from a readout (B, cells, 1) and a centre bias (B, m_y, m_x).

    The centre bias is in nats at the map's pixels. Blur and resize are linear and separable: the map is A_y R A_x^T.
    The last resize repeats each pixel of the map, so the log density stays on the map's grid.
    """

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        self.gauss = Gauss(sigma_px)
        self.center_bias_weight = nn.Parameter(torch.ones(1))

    def forward(self, readout: Tensor, center_bias: Tensor, grid: Grid) -> LogDensity:
        """Return the log density."""
        with one_thread():
            return log_density(readout, center_bias, grid, *self.tensors(grid))

    def tensors(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """Return the blur along rows and along columns, see `blur_matrix`, and the weight of the centre bias."""
        return self.gauss.matrix(grid.rows), self.gauss.matrix(grid.columns), self.center_bias_weight


def gaussian_kernel(sigma: Tensor) -> Tensor:
    """Return the weights of a Gaussian of this sigma, which sum to 1: (2*ceil(3*sigma)+1,)."""
    # abs: a step of the optimiser past 0 must not make the size negative. A sigma that is not finite makes the loss so
    # as well
    sigma_px = abs(float(sigma.detach()))
    radius = math.ceil(3 * sigma_px) if math.isfinite(sigma_px) else 0
    x = _offsets(sigma.new_empty(2 * radius + 1))
    return torch.softmax(-x.square() / (2 * sigma.square()), 0)


def _offsets(kernel: Tensor) -> Tensor:
    """Return how far from the centre each weight of a kernel lies: (2r+1,), like the kernel."""
    radius = len(kernel) // 2
    return torch.arange(-radius, radius + 1, device=kernel.device, dtype=kernel.dtype)


def blur_matrix(sigma: Tensor, axis: Axis) -> Tensor:
    """Return the matrix (m, n) that resizes n cells to the m rows of the map (nearest) and blurs them.

    The blur, of sigma pixels of the map, replicates the border.
    """
    matrix: Tensor = _BlurMatrix.apply(sigma, axis)
    return matrix


class _BlurMatrix(torch.autograd.Function):
    """What `blur_matrix` says, with its gradient in one go: a step computes those of all models."""

    @staticmethod
    def forward(ctx: Any, sigma: Tensor, axis: Axis) -> Tensor:
        kernel = gaussian_kernel(sigma)
        cells = _blurred_cells(axis, len(kernel) // 2, sigma.device)
        ctx.save_for_backward(sigma, kernel, cells)
        ctx.set_materialize_grads(False)
        return kernel.new_zeros(len(cells), len(axis.counts)).scatter_add_(1, cells, kernel.expand(len(cells), -1))

    @staticmethod
    def backward(ctx: Any, by_matrix: Tensor | None) -> tuple[Tensor | None, None]:
        if by_matrix is None:
            return None, None
        sigma, kernel, cells = ctx.saved_tensors
        with one_thread():
            by_kernel = by_matrix.gather(1, cells).sum(0)
            by_exponent = kernel * (by_kernel - kernel @ by_kernel)
            return (by_exponent @ _offsets(kernel).square()) / sigma**3, None


@lru_cache(maxsize=64)
def _blurred_cells(axis: Axis, radius: int, device: torch.device) -> Tensor:
    """Return the cells that each row of the map is blurred from, those beyond the border replaced by it: (m, 2r+1)."""
    cells = axis.map_cells.to(device)
    rows = torch.arange(len(cells), device=device)
    offsets = torch.arange(-radius, radius + 1, device=device)
    return cells[(rows[:, None] + offsets).clamp(0, len(cells) - 1)]


def log_density(
    readout: Tensor, center_bias: Tensor, grid: Grid, rows: Tensor, columns: Tensor, weight: Tensor
) -> LogDensity:
    """Return what `Finalizer` computes, from its tensors."""
    images, device = len(readout), readout.device
    cells = readout.reshape(images, len(grid.rows.counts), len(grid.columns.counts))
    # one product for each image instead of one for all, so that its shapes do not depend on their number
    blurred = bmm(rows.expand(images, -1, -1), cells)
    blurred = bmm(blurred, columns.mT.expand(images, -1, -1))
    return LogDensity.normalised(
        (weight * center_bias).add_(blurred), grid.rows.map_counts.to(device), grid.columns.map_counts.to(device)
    )
