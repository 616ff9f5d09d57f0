"""A model's own spatial bias: the mean density that it predicts for uniform images."""

from __future__ import annotations

import torch

from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
from entreg.model.mixture import Mixture
from entreg.study.split import UniformInputs
from entreg.units import uniform_log_density_nats


@torch.no_grad()
def bias_map(model: DeepGaze3 | Mixture, uniform: UniformInputs, *, with_center_bias: bool = True) -> LogDensity:
    """Return the model's bias map: its mean density (not its mean log density) over the uniform images, a batch of one.

    with_center_bias: whether the model receives its centre bias as input; else it receives a uniform one
    """
    features, center_bias, grid = uniform.inputs(range(len(uniform)))
    if not with_center_bias:
        center_bias = torch.full_like(center_bias, uniform_log_density_nats(uniform.size))
    density: LogDensity = model(features, center_bias, grid, uniform.precision)
    return density.mean()
