"""The layer normalisation of features, with gradients that are exact where they nearly cancel.

Adam turns the remainder of such a gradient into a full step, so the remainder must not be rounding, which would depend
on how a batch is divided among ranks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def normalised(features: Tensor, weights: Tensor | None) -> Tensor:
    """Return features (B, cells, C) with mean 0 and variance 1 over the cells and channels of each image.

    This is the published layer normalisation (eps 1e-12) without its affine part.

    weights: see `Grid.weights`
    """
    if weights is None:
        unweighted: Tensor = _Normalised.apply(features)
        return unweighted
    weights = (weights.to(features) / features.shape[2])[:, None]
    centred = features - (weights * features).sum((1, 2), keepdim=True)
    return centred * ((weights * centred.square()).sum((1, 2), keepdim=True) + 1e-12).rsqrt()


class _Normalised(torch.autograd.Function):
    """PyTorch's layer norm with another backward pass; that of PyTorch has errors of several roundings of float32."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        output, _, rstd = torch.native_layer_norm(features, features.shape[1:], None, None, 1e-12)
        ctx.save_for_backward(output, rstd)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        output, rstd = ctx.saved_tensors
        mean = gradient.mean((1, 2), keepdim=True)
        slope = torch.linalg.vecdot(gradient.flatten(1), output.flatten(1))[:, None, None] / output[0].numel()
        return (gradient - mean).addcmul_(output, slope, value=-1).mul_(rstd)
