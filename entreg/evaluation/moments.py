"""What the likelihood of an adapted model needs of each image: a sum over the pixels of its map, and its derivatives.

Let z = counts + scale b + weight c at each pixel of a map. The gradient of log sum exp(z) by scale and weight is the
mean of b and of c under the density that is proportional to exp(z), and its Hessian their covariance there.
"""

from __future__ import annotations

from ctypes import c_float, c_void_p

import torch
from torch import Tensor

from entreg.model.step_library import TORCH, library

LOG_SUM, B, C, BB, BC, CC = range(6)  # columns of `moments`


def moments(version: str, counts: Tensor, b: Tensor, c: Tensor, images: Tensor, scale: float, weight: float) -> Tensor:
    """Return log sum exp(z) and the means of b, c, b b, b c and c c under that density: (n, 6), float64.

    version: one of `step_library.available`, or `torch`
    counts: (M,) logarithm of how many pixels each pixel of the map stands for
    b, c: (all images, M) float32, on the CPU; images: (n,) int64, the rows of these that are computed
    """
    if version == TORCH:
        return _by_torch(counts, b[images], c[images], scale, weight)
    found = torch.empty(len(images), CC + 1, dtype=torch.float64)
    for tensor, dtype in ((counts, torch.float32), (b, torch.float32), (c, torch.float32), (images, torch.int64)):
        assert tensor.is_contiguous() and tensor.dtype == dtype and tensor.device.type == "cpu"
    assert b.shape == c.shape and b.shape[1:] == counts.shape
    library(version).entreg_moments(
        len(images),
        _address(images),
        len(counts),
        *(_address(tensor) for tensor in (counts, b, c)),
        c_float(scale),
        c_float(weight),
        _address(found),
    )
    return found


def _address(tensor: Tensor) -> c_void_p:
    return c_void_p(tensor.data_ptr())


def _by_torch(counts: Tensor, b: Tensor, c: Tensor, scale: float, weight: float) -> Tensor:
    z = torch.add(counts, b, alpha=scale).add_(c, alpha=weight)
    greatest = z.amax(1, keepdim=True)
    share = z.sub_(greatest).exp_()
    of_b, of_c = share * b, share * c
    total = share.sum(1, dtype=torch.float64)
    sums = [terms.sum(1, dtype=torch.float64) / total for terms in (of_b, of_c, of_b * b, of_b * c, of_c * c)]
    return torch.stack([greatest[:, 0] + total.log(), *sums], 1)
