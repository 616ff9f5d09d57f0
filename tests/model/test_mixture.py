"""A mixture's density is the mean of its components' densities."""

import torch

from entreg.features.grid import grid_of
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.mixture import Mixture


@torch.no_grad()
def test_densities_are_averaged_not_their_logarithms():
    models = [DeepGaze3(3, sigma_px=sigma, seed=seed) for seed, sigma in enumerate((1.0, 2.0, 4.0))]
    for model in models:
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    grid = grid_of((64, 96), ((8, 12),), 1, 4, 4)
    features = torch.randn(2, grid.cells, 3, generator=torch.Generator().manual_seed(2))
    biases = torch.randn(2, 2, 16, 24, generator=torch.Generator().manual_seed(3))
    mixture = Mixture(models)
    assert mixture.each == models
    for bias in biases:
        density = mixture(features, bias, grid)
        expected = sum(model(features, bias, grid).full().exp() for model in models) / 3
        torch.testing.assert_close(density.full().exp(), expected, rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(density.full().exp().sum((1, 2)), torch.ones(2), rtol=1e-5, atol=0)
