"""NLL and bias-map entropy against closed forms and scipy."""
from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from entreg.model.log_density import LogDensity
from entreg.train import losses


def density_of(p: np.ndarray) -> LogDensity:
    """(B, h, w) probabilities of pixels as a log density whose cells are pixels."""
    ones = torch.ones(p.shape[1], dtype=torch.long), torch.ones(p.shape[2], dtype=torch.long)
    return LogDensity(torch.from_numpy(p).log(), *ones)


@pytest.fixture
def two() -> LogDensity:
    return density_of(np.random.default_rng(0).dirichlet(np.ones(12), 2).reshape(2, 3, 4))


def test_nll_is_the_mean_over_images_of_the_mean_over_fixations(two):
    image, y, x = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 3, 2])
    found = losses.nll_nats(two, image, y, x, losses.fixation_weights(torch.tensor([3.0, 1.0]), "images"))
    first = -(two.grid[0, 0, 0] + two.grid[0, 1, 1] + two.grid[0, 2, 3]) / 3
    assert found.sum().item() == pytest.approx(((first - two.grid[1, 0, 2]) / 2).item(), rel=1e-7)


def test_nll_over_fixations_weighs_every_fixation_alike(two):
    image, y, x = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 3, 2])
    found = losses.nll_nats(two, image, y, x, losses.fixation_weights(torch.tensor([3.0, 1.0]), "fixations"))
    assert found.sum().item() == pytest.approx(-two.at(image, y, x).mean().item(), rel=1e-7)


def test_mean_entropy_is_scipys(two):
    found = losses.bias_entropy_nats(two, 2, "softmax", "mean_entropy", lambda t: t)
    expected = np.mean([scipy.stats.entropy(p.flatten()) for p in two.grid.exp().numpy()])
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_entropy_of_the_mean_averages_densities_not_log_densities(two):
    found = losses.bias_entropy_nats(two, 2, "softmax", "entropy_of_mean", lambda t: t)
    assert found.item() == pytest.approx(scipy.stats.entropy(two.grid.exp().mean(0).flatten().numpy()), abs=1e-9)


def test_minmax_is_its_formula(two):
    z = two.grid[0].numpy()
    p = (z - z.min()) / (z.max() - z.min()) + 1e-8
    np.testing.assert_allclose(losses.minmax(two).grid[0].exp().numpy(), p / p.sum(), rtol=1e-9)


def test_minmax_of_a_constant_map_is_uniform_with_a_finite_gradient():
    z = torch.full((1, 3, 4), -math.log(12), requires_grad=True)
    ones = torch.ones(3, dtype=torch.long), torch.ones(4, dtype=torch.long)
    entropy = losses.minmax(LogDensity(z, *ones)).entropy_nats().sum()
    entropy.backward()
    assert entropy.item() == pytest.approx(math.log(12), abs=1e-6)
    assert torch.isfinite(z.grad).all()
