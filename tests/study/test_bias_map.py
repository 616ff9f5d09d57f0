"""The bias map is the mean of what a model predicts for uniform images."""

from __future__ import annotations

import math

import numpy as np
import torch

from entreg.features.grid import grid_of
from entreg.model.finalizer import Finalizer
from entreg.study.bias_map import bias_map

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


def test_densities_are_averaged_not_their_logarithms():
    model, uniform = Model(3), Uniform(range(3))
    _, given, _ = uniform.inputs(range(3))
    flat = torch.full_like(given, -math.log(48 * 64))
    for received, center_bias in ((True, given), (False, flat)):
        predicted = bias_map(model, uniform, with_center_bias=received)
        with torch.no_grad():
            each = model([0, 1, 2], center_bias, GRID, torch.float32).full().double().exp()
        np.testing.assert_allclose(predicted.full()[0].double().exp(), each.mean(0), rtol=1e-5)
        assert predicted.size == SIZE and not predicted.grid.requires_grad


def test_the_centre_bias_that_the_model_receives_is_in_one_of_the_maps_alone():
    model, uniform = Model(2), Uniform(range(2))
    model.readouts[:] = 0  # what is left is the input
    given = uniform.inputs([0])[1].repeat_interleave(4, 1).repeat_interleave(4, 2)[0].exp()
    np.testing.assert_allclose(bias_map(model, uniform).full()[0].exp(), given, rtol=1e-4)
    without = bias_map(model, uniform, with_center_bias=False)
    np.testing.assert_allclose(without.full()[0].exp(), 1 / (48 * 64), rtol=1e-4)
