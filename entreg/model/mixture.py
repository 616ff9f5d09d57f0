"""Mixtures of several models with equal weights, as published for DeepGaze III and IIE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from entreg.features.grid import Grid
from entreg.features.rectified import Features
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity


class Mixture(nn.Module):
    """A mixture of components that read the same features. Its arguments are those of `DeepGaze3`."""

    def __init__(self, components: Sequence[DeepGaze3]) -> None:
        super().__init__()
        self.components = nn.ModuleList(components)

    def forward(
        self,
        features: Tensor | Sequence[Features],
        center_bias: Tensor,
        grid: Grid,
        precision: torch.dtype = torch.float32,
    ) -> LogDensity:
        """Return the components' mean density for each image of a batch."""
        return averaged([component(features, center_bias, grid, precision) for component in self.each])

    @property
    def each(self) -> list[DeepGaze3]:
        """The components."""
        components: Iterable[Any] = self.components  # the items of a ModuleList have no types
        return list(components)


def averaged(densities: Sequence[LogDensity]) -> LogDensity:
    """Return the mean of n densities on one grid: the logsumexp of their logarithms minus log n."""
    return LogDensity(log_mean([density.grid for density in densities]), densities[0].rows, densities[0].columns)


def log_mean(grids: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of densities that are given by their logarithms."""
    return torch.stack(list(grids)).logsumexp(0) - math.log(len(grids))
