"""A model's own spatial bias: what it predicts for uniform images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
from entreg.model.mixture import Mixture
from entreg.numerics import BITS_PER_NAT
from entreg.study.part import UniformPart


@dataclass(frozen=True)
class BiasMaps:
    """The averaged bias map of the uniform images at one size, with and without the centre bias as input."""

    with_center_bias: LogDensity
    without_center_bias: LogDensity


@torch.no_grad()
def bias_maps_of(model: DeepGaze3 | Mixture, uniform: UniformPart) -> BiasMaps:
    """What the model predicts for uniform images: mean density (not mean log density) over them."""
    features, center_bias, grid = uniform.inputs(range(len(uniform)))
    flat = torch.full_like(center_bias, -math.log(uniform.size[0] * uniform.size[1]))
    densities = [model(features, given, grid, uniform.precision).mean() for given in (center_bias, flat)]
    return BiasMaps(*(LogDensity(d.grid.cpu(), d.rows.cpu(), d.columns.cpu()) for d in densities))


def entropies(maps: BiasMaps) -> dict[str, float]:
    """Entropies and deficits to uniform of both bias maps, in nats and bits."""
    row: dict[str, float] = {}
    for name, density in (("", maps.with_center_bias), ("_without_center_bias", maps.without_center_bias)):
        height, width = density.size
        entropy = float(density.entropy_nats())
        deficit = math.log(height * width) - entropy
        row |= {
            f"bias_entropy{name}_nats": entropy,
            f"bias_entropy{name}_deficit_nats": deficit,
            f"bias_entropy{name}_deficit_bits": deficit * BITS_PER_NAT,
        }
    return row
