"""Operations whose bits do not depend on what stands beside a number."""

from __future__ import annotations

import torch

from entreg.model.exact_operations import bmm, softplus, wake_log1p


def test_log1p_is_awake_and_changes_no_number():
    x = torch.linspace(-0.5, 5, 1000)
    before = torch.log1p(x)
    wake_log1p()
    assert torch.equal(torch.log1p(x), before)


def test_a_number_has_the_same_softplus_wherever_it_stands():
    """PyTorch rounds what is left over of a vector otherwise."""
    x = torch.linspace(-5, 5, 3 * 7 * 5).view(3, 7, 5)
    for length in (1, 31, 32, 33, 105):
        assert torch.equal(softplus(x.flatten()[:length]), softplus(x).flatten()[:length])
    torch.testing.assert_close(softplus(x), torch.nn.functional.softplus(x))


def test_a_product_has_the_same_bits_alone_and_in_a_batch():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(3, 40, 16, generator=generator), torch.rand(3, 16, 8, generator=generator)
    assert all(torch.equal(bmm(a[i : i + 1], b[i : i + 1])[0], bmm(a, b)[i]) for i in range(3))
