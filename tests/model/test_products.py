"""Products an image: what they compute, and gradients that nearly cancel."""
import torch

from entreg.model.products import copies


def test_gradients_are_summed_over_images_in_float64():
    x = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    batch = torch.zeros(3, 5)
    found = copies(x, batch)
    assert found.shape == (3, 1, 2) and found.dtype == torch.float32
    # in float32 1e8 + 1 is 1e8, and 0 would be left
    upstream = torch.tensor([1e8, 1.0, -1e8]).view(3, 1, 1).expand(3, 1, 2)
    found.backward(upstream)
    assert x.grad.tolist() == [[1.0, 1.0]]
