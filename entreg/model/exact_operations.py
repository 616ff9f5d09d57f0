"""Operations in which the bits of each number do not depend on the other numbers of the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

VECTOR = 32  # float32 numbers that a pointwise function of PyTorch computes at a time


def wake_log1p() -> None:
    """Make log1p, and with it softplus, ten times faster on the CPU.

    The AVX-512 code of log1p reads a constant through a mask that is empty unless an argument is -0. Until something
    has touched that constant's page of memory, the processor handles a suppressed fault for every 16 numbers.
    """
    torch.log1p(torch.full((64,), -0.0))


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + exp x), where the bits of each number do not depend on its position.

    PyTorch rounds differently where numbers do not fill a whole vector, so the input is padded to whole vectors.
    """
    missing = -x.numel() % VECTOR
    if missing == 0 or x.is_cuda:
        return F.softplus(x)
    return F.softplus(F.pad(x.flatten(), (0, missing)))[: x.numel()].view(x.shape)


def bmm(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of (B, n, m) and (B, m, k): (B, n, k), where the bits of each do not depend on B.

    For a batch of one PyTorch calls another function of the library than for larger ones, so it is computed as one of
    two.
    """
    if len(a) == 1 and not a.is_cuda:
        return torch.bmm(a.expand(2, -1, -1), b.expand(2, -1, -1))[:1]
    return torch.bmm(a, b)
