"""The bias maps of an evaluated model, with and without its centre bias as input, and their entropies."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
from entreg.model.mixture import Mixture
from entreg.study.bias_map import bias_map
from entreg.study.split import UniformInputs
from entreg.units import BITS_PER_NAT, uniform_log_density_nats


@dataclass(frozen=True)
class BiasMaps:
    """The bias maps at one size, on the CPU: one with the centre bias as the model's input, one with a uniform one."""

    with_center_bias: LogDensity
    without_center_bias: LogDensity


def bias_maps_of(model: DeepGaze3 | Mixture, uniform: UniformInputs) -> BiasMaps:
    """Return both bias maps of a model, see `study.bias_map`."""
    maps = (bias_map(model, uniform, with_center_bias=received) for received in (True, False))
    return BiasMaps(*(LogDensity(density.grid.cpu(), density.rows.cpu(), density.columns.cpu()) for density in maps))


def entropies(maps: BiasMaps) -> dict[str, float]:
    """Return the entropies of both bias maps and how far they are below the uniform density's, in nats and bits."""
    row: dict[str, float] = {}
    for name, density in (("", maps.with_center_bias), ("_without_center_bias", maps.without_center_bias)):
        entropy = float(density.entropy_nats())
        deficit = -uniform_log_density_nats(density.size) - entropy
        row |= {
            f"bias_entropy{name}_nats": entropy,
            f"bias_entropy{name}_deficit_nats": deficit,
            f"bias_entropy{name}_deficit_bits": deficit * BITS_PER_NAT,
        }
    return row
