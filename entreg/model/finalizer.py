"""DeepGaze III's finalizer, which turns a readout into a log density (Kuemmerer et al. 2022), separably on the grid."""

from __future__ import annotations

import math

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
    x = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    return torch.softmax(-x.square() / (2 * sigma.square()), 0)


def blur_matrix(sigma: Tensor, axis: Axis) -> Tensor:
    """Return the matrix (m, n) that resizes n cells to the m rows of the map (nearest) and blurs them.

    The blur, of sigma pixels of the map, replicates the border.
    """
    kernel, cells = gaussian_kernel(sigma), axis.map_cells.to(sigma.device)
    radius, m = len(kernel) // 2, len(cells)
    rows = torch.arange(m, device=cells.device)
    source = (rows[:, None] + torch.arange(-radius, radius + 1, device=cells.device)).clamp(0, m - 1)
    blank = kernel.new_zeros(m, len(axis.counts))
    return blank.scatter_add(1, cells[source], kernel.expand(m, -1))


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
