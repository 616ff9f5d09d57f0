"""Products an image: what they compute, and gradients that nearly cancel."""
import pytest
import torch

from entreg.config import Hardware
from entreg.engine.hardware import precision_of
from entreg.errors import SettingError
from entreg.model.products import copies, project


def test_gradients_are_summed_over_images_in_float64():
    x = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    batch = torch.zeros(3, 5)
    found = copies(x, batch)
    assert found.shape == (3, 1, 2) and found.dtype == torch.float32
    # in float32 1e8 + 1 is 1e8, and 0 would be left
    upstream = torch.tensor([1e8, 1.0, -1e8]).view(3, 1, 1).expand(3, 1, 2)
    found.backward(upstream)
    assert x.grad.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_gradients_of_a_low_precision_product_are_float32s(precision):
    """Large sums included: 768 cells of 100 times 1000 are past float16's range."""
    try:
        precision_of(Hardware(precision=str(precision).removeprefix("torch.")), "cpu")
    except SettingError as error:
        pytest.skip(str(error))
    features = torch.full((2, 768, 3), 100.0, dtype=precision)
    matrix = torch.ones(4, 3, requires_grad=True)
    found = project(features, matrix, precision)
    assert found.dtype == torch.float32 and torch.equal(found, torch.full((2, 768, 4), 300.0))
    found.backward(torch.full((2, 768, 4), 1000.0))
    assert torch.equal(matrix.grad, torch.full((4, 3), 2 * 768 * 1e5))
