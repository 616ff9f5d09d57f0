"""A normalisation whose gradients nearly cancel."""

from __future__ import annotations

import torch

from benchmarks.golden import relative
from entreg.features.normalisation import normalised


def test_normalised_features_have_mean_0_and_variance_1():
    features = torch.randn(3, 20, 8) * 5 + 7
    weights = torch.rand(20)
    weights /= weights.sum()
    for w in (None, weights):
        found = normalised(features, w).double()
        share = torch.full((20,), 1 / 20) if w is None else w
        mean = (share[:, None] * found).sum((1, 2)) / 8
        variance = (share[:, None] * found.square()).sum((1, 2)) / 8 - mean.square()
        torch.testing.assert_close(mean, torch.zeros(3, dtype=torch.float64), atol=1e-5, rtol=0)
        torch.testing.assert_close(variance, torch.ones(3, dtype=torch.float64), atol=1e-5, rtol=0)


def test_gradients_of_a_normalisation_that_nearly_cancel():
    """A shift of the features changes nothing: a constant gradient must vanish beside one a thousand times smaller."""
    generator = torch.Generator().manual_seed(0)
    features = 3 * torch.randn(2, 768, 128, generator=generator) + 1
    upstream = 1 + 1e-3 * torch.randn(2, 768, 128, generator=generator)
    exact, found = features.double().requires_grad_(), features.clone().requires_grad_()
    centred = exact - exact.mean((1, 2), keepdim=True)
    (centred / centred.square().mean((1, 2), keepdim=True).sqrt()).backward(upstream.double())
    normalised(found, None).backward(upstream)
    assert relative(found.grad, exact.grad) < 1.5e-4  # float32 itself rounds 1 by 6e-8, 6e-5 of what is left
