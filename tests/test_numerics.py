"""Products an image: what they compute, and gradients that nearly cancel."""
import pytest
import torch

from benchmarks.golden import relative
from entreg import numerics
from entreg.config import Hardware
from entreg.errors import SettingError
from entreg.numerics import in_threads, normalised, product_gradients, products, wake_log1p
from entreg.run.hardware import precision_of


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_gradients_of_a_low_precision_product_are_float32s(precision):
    """Large sums included: 768 cells of 100 times 1000 are past float16's range."""
    try:
        precision_of(Hardware(precision=str(precision).removeprefix("torch.")), "cpu")
    except SettingError as error:
        pytest.skip(str(error))
    features = torch.full((2, 768, 3), 100.0, dtype=precision)
    found = products(features, torch.ones(4, 3), precision)
    assert found.dtype == torch.float32 and torch.equal(found, torch.full((2, 768, 4), 300.0))
    for gradient in product_gradients(features, torch.full((2, 768, 4), 1000.0)):
        assert torch.equal(gradient, torch.full((4, 3), 768 * 1e5))


@pytest.mark.parametrize("stored", [torch.float16, torch.float32])
@pytest.mark.parametrize("cells", [
    pytest.param(768, id="blocks of 32"), pytest.param(475, id="blocks of 25, the last piece is shorter"),
    pytest.param(211, id="a prime number: one block"), pytest.param(12, id="one piece"),
])
def test_products_piece_by_piece_are_those_of_the_whole(cells, stored, monkeypatch):
    """Against float64, and to the bit against pieces as long as an image."""
    torch.manual_seed(0)
    features = [torch.randn(cells, 300).to(stored) for _ in range(3)]
    matrix, upstream = torch.randn(8, 300), torch.randn(3, cells, 8)

    def both():
        return products(features, matrix, torch.float32), torch.stack(product_gradients(features, upstream))

    monkeypatch.setattr(numerics, "PIECE", 100 * 300)
    forward, backward = both()
    exact = torch.stack(features).double()
    torch.testing.assert_close(forward.double(), exact @ matrix.double().mT, atol=1e-4, rtol=0)
    torch.testing.assert_close(backward.double(), upstream.double().mT @ exact, atol=2e-4, rtol=0)
    monkeypatch.setattr(numerics, "PIECE", 10**9)
    whole = both()
    assert torch.equal(forward, whole[0]) and torch.equal(backward, whole[1])


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
