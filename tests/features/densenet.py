"""DenseNet-201 written down once more, from Huang et al. 2017 (arXiv 1608.06993) and the names of its weights alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LAYERS = (6, 12, 48, 32)


def taps(weights: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """By name what `norm1`, `conv1` and `conv2` of every layer put out, for normalised images x (B, 3, H, W)."""
    found = {}

    def norm(x: Tensor, name: str) -> Tensor:
        w = {k: weights[f"{name}.{k}"][:, None, None] for k in ("running_mean", "running_var", "weight", "bias")}
        return (x - w["running_mean"]) / (w["running_var"] + 1e-5).sqrt() * w["weight"] + w["bias"]

    x = F.conv2d(x, weights["features.conv0.weight"], stride=2, padding=3)
    x = F.max_pool2d(norm(x, "features.norm0").clamp_min(0), 3, 2, 1)
    for block, layers in enumerate(LAYERS, start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            found[f"{name}.norm1"] = norm(x, f"{name}.norm1")
            found[f"{name}.conv1"] = F.conv2d(found[f"{name}.norm1"].clamp_min(0), weights[f"{name}.conv1.weight"])
            new = norm(found[f"{name}.conv1"], f"{name}.norm2").clamp_min(0)
            found[f"{name}.conv2"] = F.conv2d(new, weights[f"{name}.conv2.weight"], padding=1)
            x = torch.cat([x, found[f"{name}.conv2"]], 1)
        if block < len(LAYERS):
            name = f"features.transition{block}"
            x = F.avg_pool2d(F.conv2d(norm(x, f"{name}.norm").clamp_min(0), weights[f"{name}.conv.weight"]), 2)
    return found
