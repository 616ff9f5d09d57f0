"""The bias map is the mean of what is predicted for uniform images; its entropy is told against a uniform one's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from entreg.evaluate.bias_map import BiasMaps, bias_maps_of, entropies
from entreg.features.grid import grid_of
from entreg.model.finalizer import Finalizer
from entreg.model.log_density import LogDensity

SIZE = (48, 64)
GRID = grid_of(SIZE, ((6, 8),), 2, 4, 4)
CELLS = len(GRID.rows.counts), len(GRID.columns.counts)


class Model:
    """Its readout is known: one map of cells for each uniform image."""

    def __init__(self, images: int) -> None:
        self.readouts = 2 * torch.randn(images, *CELLS, generator=torch.Generator().manual_seed(0))
        self.finalizer = Finalizer(2.0)

    def __call__(self, features, center_bias, grid, precision):
        return self.finalizer(self.readouts[features], center_bias, grid)


class Uniform(list):
    """As a bias map reads the uniform images: their numbers in place of their features, and a central bias for each."""

    size, precision = SIZE, torch.float32

    def inputs(self, members):
        y, x = torch.meshgrid(torch.linspace(-1, 1, 12), torch.linspace(-1, 1, 16), indexing="ij")
        z = -2 * (y**2 + x**2)
        return list(members), (z - z.flatten().logsumexp(0) - math.log(16)).expand(len(members), -1, -1), GRID


def density(p: np.ndarray) -> LogDensity:
    """(H, W) probabilities as a density whose cells are pixels."""
    ones = [torch.ones(n, dtype=torch.long) for n in p.shape]
    return LogDensity(torch.from_numpy(p).log()[None], *ones)


def test_densities_are_averaged_not_their_logarithms():
    model, uniform = Model(3), Uniform(range(3))
    found = bias_maps_of(model, uniform)
    _, given, _ = uniform.inputs(range(3))
    flat = torch.full_like(given, -math.log(48 * 64))
    for predicted, center_bias in ((found.with_center_bias, given), (found.without_center_bias, flat)):
        with torch.no_grad():
            each = model([0, 1, 2], center_bias, GRID, torch.float32).full().double().exp()
        np.testing.assert_allclose(predicted.full()[0].double().exp(), each.mean(0), rtol=1e-5)
        assert predicted.size == SIZE and not predicted.grid.requires_grad


def test_the_centre_bias_that_the_model_receives_is_in_one_of_the_maps_alone():
    model, uniform = Model(2), Uniform(range(2))
    model.readouts[:] = 0  # what is left is the input
    found = bias_maps_of(model, uniform)
    given = uniform.inputs([0])[1].repeat_interleave(4, 1).repeat_interleave(4, 2)[0].exp()
    np.testing.assert_allclose(found.with_center_bias.full()[0].exp(), given, rtol=1e-4)
    np.testing.assert_allclose(found.without_center_bias.full()[0].exp(), 1 / (48 * 64), rtol=1e-4)


def test_a_uniform_map_lacks_nothing_and_half_of_the_pixels_one_bit():
    half = np.zeros((6, 8))
    half[:, :4] = 1 / 24
    row = entropies(BiasMaps(density(np.full((6, 8), 1 / 48)), density(half)))
    assert row == pytest.approx(
        {
            "bias_entropy_nats": math.log(48),
            "bias_entropy_deficit_nats": 0,
            "bias_entropy_deficit_bits": 0,
            "bias_entropy_without_center_bias_nats": math.log(24),
            "bias_entropy_without_center_bias_deficit_nats": math.log(2),
            "bias_entropy_without_center_bias_deficit_bits": 1,
        },
        abs=1e-9,
    )


def test_the_entropy_is_scipys():
    p = np.random.default_rng(0).dirichlet(np.ones(48)).reshape(6, 8)
    row = entropies(BiasMaps(density(p), density(p)))
    assert row["bias_entropy_nats"] == pytest.approx(scipy.stats.entropy(p.ravel()))
    assert row["bias_entropy_deficit_bits"] == pytest.approx(math.log2(48) - scipy.stats.entropy(p.ravel(), base=2))
