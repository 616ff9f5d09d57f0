"""A log density on a grid answers as the full map does."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from entreg.model.log_density import LogDensity, cell_of_pixel

REGULAR = (torch.full((12,), 4), torch.full((16,), 4))
RAGGED = (torch.tensor([3, 1, 4, 2, 5]), torch.tensor([2, 2, 7]))


def density(rows, columns, images=3, spread=2.0):
    generator = torch.Generator().manual_seed(4)
    grid = spread * torch.randn(images, len(rows), len(columns), generator=generator)
    return LogDensity.normalised(grid, rows, columns)


def test_full_map_repeats_each_cell():
    rows, columns = torch.tensor([2, 1]), torch.tensor([1, 3])
    full = LogDensity(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), rows, columns).full()
    assert full.tolist() == [[[1, 2, 2, 2], [1, 2, 2, 2], [3, 4, 4, 4]]]
    assert cell_of_pixel(rows).tolist() == [0, 0, 1]


@pytest.mark.parametrize("rows, columns", [REGULAR, RAGGED], ids=["regular", "ragged"])
class TestAgainstTheFullMap:
    def test_sums_to_1_over_the_pixels(self, rows, columns):
        found = density(rows, columns)
        assert found.size == tuple(found.full().shape[1:]) == (rows.sum(), columns.sum())
        assert found.full().double().exp().sum((1, 2)).tolist() == pytest.approx([1, 1, 1], abs=1e-5)

    def test_entropy_is_scipys(self, rows, columns):
        found = density(rows, columns)
        for nats, full in zip(found.entropy_nats(), found.full(), strict=True):
            assert nats.item() == pytest.approx(scipy.stats.entropy(full.double().exp().flatten()), abs=1e-5)

    def test_at_reads_every_pixel(self, rows, columns):
        found = density(rows, columns)
        full = found.full()
        image, y, x = (index.flatten() for index in torch.meshgrid(*map(torch.arange, full.shape), indexing="ij"))
        assert torch.equal(found.at(image, y, x), full.flatten())

    def test_mean_averages_densities(self, rows, columns):
        found = density(rows, columns)
        expected = found.full().double().exp().mean(0).log()
        torch.testing.assert_close(found.mean().full()[0].double(), expected, atol=1e-5, rtol=0)
        # the mean of log densities is another, and less than a density
        assert (found.full().mean(0) - expected).abs().max() > 0.1

    def test_uniform_density_reaches_the_greatest_entropy(self, rows, columns):
        pixels = int(rows.sum() * columns.sum())
        uniform = LogDensity.normalised(torch.zeros(1, len(rows), len(columns)), rows, columns)
        assert uniform.entropy_nats().item() == pytest.approx(math.log(pixels), abs=1e-5)
        assert (density(rows, columns).entropy_nats() < math.log(pixels)).all()

    def test_gradients_are_those_of_the_full_map(self, rows, columns):
        z = torch.randn(1, len(rows), len(columns), dtype=torch.float64, requires_grad=True)
        (fast,) = torch.autograd.grad(LogDensity.normalised(z, rows, columns).entropy_nats().sum(), z)
        full = z.repeat_interleave(rows, 1).repeat_interleave(columns, 2)
        log_p = full - full.flatten(1).logsumexp(1)[:, None, None]
        (plain,) = torch.autograd.grad(-(log_p.exp() * log_p).sum(), z)
        torch.testing.assert_close(fast, plain, atol=1e-12, rtol=1e-9)


def test_all_mass_in_one_pixel_has_no_entropy():
    z = torch.full((1, 4, 5), -np.inf)
    z[0, 2, 3] = 0
    ones = torch.ones(5, dtype=torch.long)
    found = LogDensity.normalised(z, ones[:4], ones)
    assert found.entropy_nats().item() == 0


@pytest.mark.parametrize("rows, columns", [REGULAR, RAGGED], ids=["regular", "ragged"])
@pytest.mark.parametrize("height, width", [(48, 64), (15, 11), (31, 5), (2, 3), (100, 77)])
def test_at_another_size_each_pixel_takes_the_density_at_its_centres_place(rows, columns, height, width):
    full = density(rows, columns).full().double().numpy()
    y, x = ((np.arange(new) + 0.5) * old / new for new, old in ((height, full.shape[1]), (width, full.shape[2])))
    expected = full[:, np.floor(y).astype(int)[:, None], np.floor(x).astype(int)]
    expected -= np.log(np.exp(expected).sum((1, 2), keepdims=True))
    found = density(rows, columns).at_size(height, width)
    assert found.size == (height, width)
    np.testing.assert_allclose(found.full(), expected, atol=1e-12)


@pytest.mark.parametrize("rows", [(4, 4, 4), (3, 4, 5)], ids=["cells alike", "cells of several sizes"])
def test_a_densitys_gradient_is_that_of_its_formula(rows):
    """Of grid - logsumexp(grid + log of a cell's pixels), by PyTorch's gradient and by finite differences."""
    torch.manual_seed(0)
    rows, columns = torch.tensor(rows), torch.tensor([2, 2])
    grid = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    log_pixels = (rows[:, None] * columns).double().log()
    expected = grid - (grid + log_pixels).logsumexp((1, 2), keepdim=True)
    found = LogDensity.normalised(grid, rows, columns).grid
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(2, 3, 2, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad(one, grid, upstream)[0] for one in (found, expected))
    torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(lambda one: LogDensity.normalised(one, rows, columns).grid, grid)
