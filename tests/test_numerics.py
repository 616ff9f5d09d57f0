"""Threads that work alone, and normalisations whose gradients nearly cancel."""

import os
import signal
import time

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


def test_what_is_running_when_a_wait_is_interrupted_has_ended_when_it_is_left(one_thread):
    """Else it would write into files that are closed, or are others by then."""
    torch.set_num_threads(2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ended = []

    def work(item: int) -> None:
        if item == 0:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        ended.append(item)

    try:
        with pytest.raises(KeyboardInterrupt):
            list(in_threads(work, range(2)))
    finally:
        signal.signal(signal.SIGINT, before)
    assert 0 in ended and torch.get_num_threads() == 2


def test_the_rest_is_not_begun_where_an_item_fails(one_thread):
    torch.set_num_threads(2)
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.01)
        raise ValueError(item)

    with pytest.raises(ValueError, match="^0$"):
        list(in_threads(work, range(100)))
    assert len(begun) < 10


def test_a_fork_has_threads_of_its_own(one_thread):
    torch.set_num_threads(2)
    list(in_threads(str, range(4)))
    child = os.fork()
    if not child:
        try:
            signal.alarm(20)
            os._exit([*in_threads(str, range(4))] != ["0", "1", "2", "3"])
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


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
