"""The widest product, by blocks and by convolutions: what they compute, and to which bits."""
import pytest
import torch

from entreg.config import Hardware
from entreg.errors import SettingError
from entreg.model import products as module
from entreg.model.products import product_gradients, products
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


@pytest.fixture(params=[True, False], ids=["convolution", "blocks"])
def convolves(request, monkeypatch) -> bool:
    """Either way, also on machines that have but one."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: request.param)
    return request.param


@pytest.mark.parametrize("stored", [torch.float16, torch.float32])
@pytest.mark.parametrize("cells", [
    pytest.param(768, id="blocks of 32"), pytest.param(475, id="blocks of 25, the last piece is shorter"),
    pytest.param(211, id="a prime number: one block"), pytest.param(12, id="one piece"),
    pytest.param(16, id="a cell a picture"),
])
def test_products_are_those_of_float64(cells, stored, convolves, monkeypatch):
    """And to the same bits for an image whatever the others are, and for some columns whatever the others are."""
    torch.manual_seed(0)
    features = [torch.randn(cells, 300).to(stored) for _ in range(3)]
    matrix, upstream = torch.randn(48, 300), torch.randn(3, cells, 48)
    monkeypatch.setattr(module, "PIECE", 100 * 300)

    def both(images: slice, columns: slice) -> tuple[torch.Tensor, torch.Tensor]:
        found = product_gradients(features[images], upstream[images, :, columns].contiguous())
        return products(features[images], matrix[columns], torch.float32), torch.stack(found)

    forward, backward = both(slice(3), slice(48))
    exact = torch.stack(features).double()
    torch.testing.assert_close(forward.double(), exact @ matrix.double().mT, atol=1e-4, rtol=0)
    torch.testing.assert_close(backward.double(), upstream.double().mT @ exact, atol=2e-4, rtol=0)
    ours, theirs = both(slice(1, 2), slice(48))
    assert torch.equal(ours, forward[1:2]) and torch.equal(theirs, backward[1:2])
    ours, theirs = both(slice(3), slice(8, 16))
    assert torch.equal(ours, forward[..., 8:16]) and torch.equal(theirs, backward[:, 8:16])


def test_products_piece_by_piece_are_those_of_the_whole(convolves, monkeypatch):
    """To the bit, but for the gradient of a convolution, which is a sum over pieces."""
    torch.manual_seed(0)
    features, matrix, upstream = torch.randn(2, 768, 300).half(), torch.randn(8, 300), torch.randn(2, 768, 8)

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        return products(features, matrix, torch.float32), torch.stack([*product_gradients(features, upstream)])

    monkeypatch.setattr(module, "PIECE", 100 * 300)
    pieces = both()
    monkeypatch.setattr(module, "PIECE", 10**9)
    whole = both()
    assert torch.equal(pieces[0], whole[0])
    torch.testing.assert_close(pieces[1], whole[1], atol=2e-4 if convolves else 0, rtol=0)


def test_bits_do_not_depend_on_the_number_of_threads(convolves, one_thread):
    torch.manual_seed(0)
    features, matrix, upstream = torch.randn(2, 768, 300).half(), torch.randn(16, 300), torch.randn(2, 768, 16)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        gradients = product_gradients(features, upstream)
        found.append((products(features, matrix, torch.float32), torch.stack([*gradients])))
    for forward, backward in found[1:]:
        assert torch.equal(forward, found[0][0]) and torch.equal(backward, found[0][1])
