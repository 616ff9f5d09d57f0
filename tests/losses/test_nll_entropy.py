"""The bias map's entropy against closed forms and scipy, and what a training makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from entreg.distributed.ranks import Ranks
from entreg.losses import nll_entropy
from entreg.model.log_density import LogDensity


def test_mean_entropy_is_scipys(two):
    found = nll_entropy.bias_entropy_nats(two, 2, "softmax", "mean_entropy", lambda t: t)
    expected = np.mean([scipy.stats.entropy(p.flatten()) for p in two.grid.exp().numpy()])
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_entropy_of_the_mean_averages_densities_not_log_densities(two):
    found = nll_entropy.bias_entropy_nats(two, 2, "softmax", "entropy_of_mean", lambda t: t)
    assert found.item() == pytest.approx(scipy.stats.entropy(two.grid.exp().mean(0).flatten().numpy()), abs=1e-9)


def test_minmax_is_its_formula(two):
    z = two.grid[0].numpy()
    p = (z - z.min()) / (z.max() - z.min()) + 1e-8
    np.testing.assert_allclose(nll_entropy.minmax(two).grid[0].exp().numpy(), p / p.sum(), rtol=1e-9)


def test_minmax_of_a_constant_map_is_uniform_with_a_finite_gradient():
    z = torch.full((1, 3, 4), -math.log(12), requires_grad=True)
    ones = torch.ones(3, dtype=torch.long), torch.ones(4, dtype=torch.long)
    entropy = nll_entropy.minmax(LogDensity(z, *ones)).entropy_nats().sum()
    entropy.backward()
    assert entropy.item() == pytest.approx(math.log(12), abs=1e-6)
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("value, weight", [(0.3, -0.3), (0.0, 0.0)])
def test_the_entropy_is_rewarded_and_lambda_zero_is_the_baseline(value, weight):
    loss = nll_entropy.Settings(lambda_entropy=value)
    assert loss.weight == weight and loss.regularises is (weight != 0)
    unused = {"lambda_entropy", "every", "normalisation", "aggregation", "center_bias"}
    assert set(loss.unused) == (set() if weight else unused)


def test_the_settings_say_which_entropy_it_is(two):
    """One rank's share is all of it."""

    def share(**settings) -> float:
        return nll_entropy.Settings(**settings).share(two, 2, Ranks()).item()

    assert share() == pytest.approx(two.entropy_nats().mean().item())
    assert share(aggregation="entropy_of_mean") == pytest.approx(two.mean().entropy_nats().item())
    assert share(normalisation="minmax") == pytest.approx(nll_entropy.minmax(two).entropy_nats().mean().item())
