"""The entropies of bias maps are compared with the uniform density's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from entreg.evaluation.bias_map import BiasMaps, bias_maps_of, entropies
from entreg.model.log_density import LogDensity
from tests.study.test_bias_map import Model, Uniform


def density(p: np.ndarray) -> LogDensity:
    """(H, W) probabilities as a density whose cells are pixels."""
    ones = [torch.ones(n, dtype=torch.long) for n in p.shape]
    return LogDensity(torch.from_numpy(p).log()[None], *ones)


def test_both_maps_are_made_on_the_same_images():
    model, uniform = Model(2), Uniform(range(2))
    maps = bias_maps_of(model, uniform)
    assert maps.with_center_bias.size == maps.without_center_bias.size == uniform.size
    assert maps.with_center_bias.entropy_nats() != maps.without_center_bias.entropy_nats()


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
