"""DeepGaze III's finalizer: readout to log density (Kuemmerer et al. 2022), separable and on the grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from entreg.features.grid import Axis, Grid
from entreg.model.log_density import LogDensity
from entreg.numerics import bmm, one_thread


class Gauss(nn.Module):
    """A Gaussian of learned sigma, pixels of the blurred map."""

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        self.sigma = nn.Parameter(torch.tensor(float(sigma_px)))

    def kernel(self) -> Tensor:
        """(2*ceil(3*sigma)+1,) weights that sum to 1."""
        # abs: a step of the optimiser past 0 must not turn the size negative; a sigma that is not finite shows in the
        #     loss
        sigma_px = abs(float(self.sigma.detach()))
        radius = math.ceil(3 * sigma_px) if math.isfinite(sigma_px) else 0
        x = torch.arange(-radius, radius + 1, device=self.sigma.device, dtype=self.sigma.dtype)
        return torch.softmax(-x.square() / (2 * self.sigma.square()), 0)

    def matrix(self, axis: Axis) -> Tensor:
        """(m, n): resizes n cells to the m rows of the map, nearest, and blurs them with replicate padding."""
        kernel, cells = self.kernel(), axis.map_cells.to(self.sigma.device)
        radius, m = len(kernel) // 2, len(cells)
        rows = torch.arange(m, device=cells.device)
        source = (rows[:, None] + torch.arange(-radius, radius + 1, device=cells.device)).clamp(0, m - 1)
        blank = kernel.new_zeros(m, len(axis.counts))
        return blank.scatter_add(1, cells[source], kernel.expand(m, -1))


class Finalizer(nn.Module):
    """Readout (B, cells, 1) and centre bias (B, m_y, m_x; nats, at the map's pixels) to a log density.

    Blur and resize are linear and separable: the map is A_y R A_x^T. The last resize repeats each map pixel, so the
    log density stays on the map's grid.
    """

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        self.gauss = Gauss(sigma_px)
        self.center_bias_weight = nn.Parameter(torch.ones(1))

    def forward(self, readout: Tensor, center_bias: Tensor, grid: Grid) -> LogDensity:
        with one_thread():
            return log_density(readout, center_bias, grid, *self.tensors(grid))

    def tensors(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """The blur along rows and along columns, see `Gauss.matrix`, and the centre bias's weight."""
        return self.gauss.matrix(grid.rows), self.gauss.matrix(grid.columns), self.center_bias_weight


def log_density(
    readout: Tensor, center_bias: Tensor, grid: Grid, rows: Tensor, columns: Tensor, weight: Tensor
) -> LogDensity:
    """What `Finalizer` computes, from its tensors."""
    images, device = len(readout), readout.device
    cells = readout.reshape(images, len(grid.rows.counts), len(grid.columns.counts))
    # a product for each image, not one of all: its shapes do not depend on their number
    blurred = bmm(rows.expand(images, -1, -1), cells)
    blurred = bmm(blurred, columns.mT.expand(images, -1, -1))
    return LogDensity.normalised(
        (weight * center_bias).add_(blurred), grid.rows.map_counts.to(device), grid.columns.map_counts.to(device)
    )
