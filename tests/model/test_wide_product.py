"""The widest product, by blocks and by convolutions: what they compute, how exactly, and to which bits."""

import pytest
import torch

from entreg.config import Hardware
from entreg.distributed.precision import precision_of
from entreg.errors import SettingError
from entreg.model import wide_product as module
from entreg.model.wide_product import product_gradients, products

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_gradients_of_a_low_precision_product_are_float32s(precision):
    """Large sums included: 768 cells of 100 times 1000 are past float16's range."""
    try:
        precision_of(Hardware(precision=str(precision).removeprefix("torch.")), "cpu")
    except SettingError as error:
        pytest.skip(str(error))
    features = torch.full((2, 768, 3), 100.0, dtype=precision)
    (found,) = products(features, [torch.ones(4, 3)], precision)
    assert found.dtype == torch.float32 and torch.equal(found, torch.full((2, 768, 4), 300.0))
    for gradient in product_gradients(features, [torch.full((2, 768, 4), 1000.0)])[0]:
        assert torch.equal(gradient, torch.full((4, 3), 768 * 1e5))


@pytest.fixture(params=[True, False], ids=["convolution", "blocks"])
def convolves(request, monkeypatch) -> bool:
    """Either way, also on machines that have but one."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: request.param)
    return request.param


def assert_rounded(found: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Found is left (m, n) times right (n, k), both float32, with no more than the rounding of float32 sums.

    A product of two numbers and each of the n - 1 sums is rounded by at most u = 2^-24 of itself. Whatever the order
    of the sums, and with or without fused operations, the error is then at most n u / (1 - n u) times the sum of the
    summands' absolute values (Higham 2002, section 3.1).

    That is reached where all roundings go one way. Where they are as good as random it is their squares that add up:
    with random numbers, the squares of u times each of the n sums so far, if one number is added after the other.
    """
    left, right = left.double(), right.double()
    unit, summands = 2.0**-24, left.shape[1]
    error = found.double() - left @ right
    certain = summands * unit / (1 - summands * unit) * (left.abs() @ right.abs())
    assert (error.abs() <= certain).all()
    so_far, squares = torch.zeros_like(error), 0.0
    for column, row in zip(left.T, right, strict=True):
        so_far.addr_(column, row)
        squares += so_far.square().mean()
    assert error.square().mean() <= unit**2 * squares


@pytest.mark.parametrize("stored", [torch.float16, torch.float32])
@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(768, id="blocks of 32"),
        pytest.param(475, id="blocks of 25, the last piece is shorter"),
        pytest.param(211, id="a prime number: one block"),
        pytest.param(12, id="one piece"),
        pytest.param(16, id="a cell a picture"),
    ],
)
def test_products_are_those_of_float64_but_for_rounding(cells, stored, convolves, monkeypatch):
    """Piece by piece, and in one piece."""
    torch.manual_seed(0)
    features = [torch.randn(cells, 300).to(stored) for _ in range(2)]
    matrix, upstream = torch.randn(8, 300), torch.randn(2, cells, 8)
    for numbers in (100 * 300, 10**9):
        monkeypatch.setattr(module, "PIECE", numbers)
        (forward,), (backward,) = products(features, [matrix], torch.float32), product_gradients(features, [upstream])
        for image, product, gradient, of_product in zip(features, forward, backward, upstream, strict=True):
            assert_rounded(product, image, matrix.T)
            assert_rounded(gradient, of_product.T, image)


@pytest.mark.parametrize("stored", [torch.float16, torch.float32])
@pytest.mark.parametrize("cells", [768, 475, 211, 12, 16])
def test_bits_depend_neither_on_other_images_nor_on_other_models(cells, stored, convolves, monkeypatch):
    """Features that begin anywhere in memory included, as those of float32 do in a store of odd images."""
    torch.manual_seed(0)
    memory = torch.randn(1 + 3 * cells * 300).to(stored)
    features = [*memory[1:].view(3, cells, 300)]
    matrices, upstream = torch.randn(6, 8, 300), torch.randn(6, 3, cells, 8)
    monkeypatch.setattr(module, "PIECE", 100 * 300)

    def both(images: slice, models: slice) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        of_models = product_gradients(features[images], [one[images] for one in upstream[models]])
        return products(features[images], matrices[models], torch.float32), [torch.stack(one) for one in of_models]

    forward, backward = both(slice(3), slice(6))
    for model in range(6):
        ours, theirs = both(slice(3), slice(model, model + 1))
        assert torch.equal(ours[0], forward[model]) and torch.equal(theirs[0], backward[model])
    for image in range(3):
        ours, theirs = both(slice(image, image + 1), slice(1, 3))
        for model in range(2):
            assert torch.equal(ours[model][0], forward[1 + model][image])
            assert torch.equal(theirs[model][0], backward[1 + model][image])
