"""Threads that work alone, and normalisations whose gradients nearly cancel."""
import pytest
import torch

from benchmarks.golden import relative
from entreg.numerics import in_threads, normalised, wake_log1p


@pytest.mark.parametrize("items", [1, 3])
def test_an_item_is_computed_by_one_thread_even_where_it_is_the_only_one(items, one_thread):
    """The last image of a store that was stopped is computed alone: its bits must not tell."""
    torch.set_num_threads(2)
    assert [*in_threads(lambda _: torch.get_num_threads(), range(items))] == [1] * items
    assert torch.get_num_threads() == 2


def test_log1p_is_awake_and_changes_no_number():
    x = torch.linspace(-0.5, 5, 1000)
    before = torch.log1p(x)
    wake_log1p()
    assert torch.equal(torch.log1p(x), before)


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
