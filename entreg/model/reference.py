"""The published model, computed plainly with every map at full resolution: slow and obviously right.

Tests and benchmarks compare the fast path with it, and it is compared with the golden vectors.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-12


def log_density(
    parameters: dict[str, Tensor],
    taps: list[Tensor],
    center_bias: Tensor,
    downsample: int,
    readout_factor: int,
    map_factor: int,
) -> Tensor:
    """Return the log density (B, H, W), in nats, step by step as published.

    taps: (B, C_k, h_k, w_k)
    center_bias: (B, H, W) nats
    """
    height, width = center_bias.shape[-2:]
    p = parameters
    size = tuple(math.ceil(n / downsample / readout_factor) for n in (height, width))
    x = torch.cat([F.interpolate(tap, size, mode="nearest") for tap in taps], 1)

    s = "saliency_network."
    for i in range(3):
        x = _layer_norm(x, p[f"{s}layernorm{i}.weight"], p[f"{s}layernorm{i}.bias"])
        x = F.softplus(F.conv2d(x, p[f"{s}conv{i}.weight"]) + p[f"{s}bias{i}.bias"][:, None, None])

    f = "fixation_selection_network."
    x = _layer_norm(x, p[f"{f}layernorm0.layernorm_part0.weight"], p[f"{f}layernorm0.layernorm_part0.bias"])
    x = F.softplus(F.conv2d(x, p[f"{f}conv0.conv_part0.weight"]) + p[f"{f}bias0.bias"][:, None, None])
    x = _layer_norm(x, p[f"{f}layernorm1.weight"], p[f"{f}layernorm1.bias"])
    x = F.softplus(F.conv2d(x, p[f"{f}conv1.weight"]) + p[f"{f}bias1.bias"][:, None, None])
    x = F.conv2d(x, p[f"{f}conv2.weight"])

    small = F.interpolate(center_bias[:, None], scale_factor=1 / map_factor, mode="nearest")
    x = F.interpolate(x, small.shape[-2:], mode="nearest")
    x = _blur(x, p["finalizer.gauss.sigma"]) + p["finalizer.center_bias_weight"] * small
    x = F.interpolate(x, (height, width), mode="nearest")[:, 0]
    return x - x.flatten(1).logsumexp(1)[:, None, None]


def nll_nats(log_density: Tensor, fixations: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the negative log density, averaged over each image's fixations (y, x) and then over images, nats."""
    return -torch.stack([image[y, x].mean() for image, (y, x) in zip(log_density, fixations, strict=True)]).mean()


def entropy_nats(log_density: Tensor) -> Tensor:
    """Return the Shannon entropy of log densities at full resolution: (B,) nats."""
    return -(log_density.exp() * log_density).sum((-2, -1))


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((1, 2, 3), keepdim=True)
    return (x - mean) / (variance + EPS).sqrt() * weight[:, None, None] + bias[:, None, None]


def _blur(x: Tensor, sigma: Tensor) -> Tensor:
    radius = math.ceil(3 * float(sigma.detach()))
    offsets = torch.arange(-radius, radius + 1, dtype=x.dtype)
    kernel = (-(offsets**2) / (2 * sigma**2)).exp()
    kernel = kernel / kernel.sum()
    x = F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), kernel[None, None, :, None])
    return F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), kernel[None, None, None, :])
