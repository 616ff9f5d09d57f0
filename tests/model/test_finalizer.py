"""Blur, centre bias and normalisation against scipy's filters on the resized readout."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from entreg.features.grid import grid_of
from entreg.model.finalizer import Finalizer, Gauss

# image size, tap sizes: taps of one resolution whose size divides, and two resolutions with cells of unequal length
GRIDS = {
    "regular": grid_of((64, 96), ((2, 3),), 2, 4, 4),
    "ragged": grid_of((97, 131), ((6, 9), (3, 5)), 2, 4, 3),
}


@pytest.fixture(params=GRIDS)
def grid(request):
    return GRIDS[request.param]


def resized(values, axis):
    """(m, ...) from (n, ...) cells: the readout that they stand for, resized to the map, nearest."""
    readout = np.repeat(values, axis.counts.numpy(), axis=0)
    m = len(axis.map_counts)
    return readout[np.arange(m) * len(readout) // m]


def blurred(values, sigma, axis=0):
    return gaussian_filter1d(values, sigma, axis=axis, mode="nearest", radius=math.ceil(3 * sigma))


@pytest.mark.parametrize("sigma, size", [(8.0, 49), (1.0, 7), (0.5, 5), (1.01, 9), (-1.5, 11)])
def test_the_kernel_reaches_three_sigmas_and_sums_to_1(sigma, size):
    kernel = Gauss(sigma).double().kernel().detach()
    assert len(kernel) == size
    assert kernel.sum().item() == pytest.approx(1, abs=1e-12)


def test_the_kernel_is_a_gaussian():
    kernel = Gauss(2.0).double().kernel().detach()
    x = torch.arange(-6, 7)
    torch.testing.assert_close((kernel / kernel[6]).log(), -x.double().square() / (2 * 2.0**2))


@pytest.mark.parametrize("sigma", [0.25, 1.5, 3.0, 20.0])
def test_the_matrix_resizes_and_blurs_as_scipy_does(grid, sigma):
    """The widest kernel is longer than any map here: its borders are repeated all the same."""
    for axis in (grid.rows, grid.columns):
        matrix = Gauss(sigma).double().matrix(axis).detach().numpy()
        cells = np.random.default_rng(0).standard_normal((len(axis.counts), 3))
        np.testing.assert_allclose(matrix @ cells, blurred(resized(cells, axis), sigma), atol=1e-12)


def test_the_density_is_the_softmax_of_blurred_readout_and_weighted_centre_bias(grid):
    rng = np.random.default_rng(1)
    shape = len(grid.rows.counts), len(grid.columns.counts)
    map_shape = len(grid.rows.map_counts), len(grid.columns.map_counts)
    readout, center_bias = rng.standard_normal((2, *shape)), rng.standard_normal((2, *map_shape))
    finalizer = Finalizer(1.5).double()
    with torch.no_grad():
        finalizer.center_bias_weight.fill_(0.7)
        density = finalizer(torch.from_numpy(readout).flatten(1)[..., None], torch.from_numpy(center_bias), grid)
    assert density.size == (int(grid.rows.map_counts.sum()), int(grid.columns.map_counts.sum()))
    for i in range(2):
        rows = blurred(resized(readout[i], grid.rows), 1.5)
        plain = blurred(resized(rows.T, grid.columns), 1.5).T + 0.7 * center_bias[i]
        full = plain.repeat(grid.rows.map_counts, 0).repeat(grid.columns.map_counts, 1)
        expected = full - np.log(np.exp(full).sum())
        np.testing.assert_allclose(density.full()[i].numpy(), expected, atol=1e-12)


def test_a_constant_readout_leaves_the_centre_bias_alone(grid):
    pixels = grid.rows.map_counts[:, None] * grid.columns.map_counts
    center_bias = torch.randn(pixels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    center_bias -= (pixels * center_bias.exp()).sum().log()
    finalizer = Finalizer(8.0).double()
    density = finalizer(torch.full((1, grid.cells, 1), 3.0, dtype=torch.float64), center_bias[None], grid)
    torch.testing.assert_close(density.grid[0].detach(), center_bias)


@pytest.mark.parametrize("sigma", [1.5, -1.5])
def test_the_gradient_of_sigma_is_the_finite_difference(grid, sigma):
    gauss = Gauss(sigma).double()
    shape = len(grid.rows.map_counts), len(grid.rows.counts)
    upstream = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    (upstream * gauss.matrix(grid.rows)).sum().backward()

    def at(moved):
        return (upstream * Gauss(moved).double().matrix(grid.rows)).sum().item()

    step = 2.0**-10  # exact in float32, in which sigma begins
    assert gauss.sigma.grad.item() == pytest.approx((at(sigma + step) - at(sigma - step)) / (2 * step), rel=1e-5)
