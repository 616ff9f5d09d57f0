"""The regularised arm's loss, in nats: NLL - lambda_entropy * H(bias map), on every `every`-th step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from entreg.config import Loss
from entreg.config.settings import setting
from entreg.distributed.ranks import Ranks
from entreg.features.grid import Grid
from entreg.features.rectified import Features
from entreg.model.deepgaze3 import DeepGaze3, compiled_entropies, densities
from entreg.model.in_groups import in_groups
from entreg.model.log_density import LogDensity
from entreg.model.step_library import TORCH


@dataclass
class Settings(Loss):
    """The NLL minus lambda times the bias map's entropy. With lambda 0 it equals the baseline to the bit."""

    name: str = setting("nll_entropy", "name of the loss", affects="result", one_of=("nll_entropy",))
    column = "bias_entropy_nats"

    @property
    def weight(self) -> float:
        """The entropy's weight in the loss, -lambda. The training multiplies `share` by it."""
        return -self.lambda_entropy

    @property
    def is_mean_entropy(self) -> bool:
        """Whether the function of the bias map is the mean of the images' entropies, see `entropies_nats`."""
        return self.normalisation == "softmax" and self.aggregation == "mean_entropy"

    def share(self, density: LogDensity, images: int, ranks: Ranks) -> Tensor:
        """Return this rank's share of the bias map's entropy, see `bias_entropy_nats`."""
        entropy = bias_entropy_nats(density, images, self.normalisation, self.aggregation, ranks.differentiable_sum)
        # the entropy of the mean map is the same on all ranks
        return entropy / ranks.world_size if self.aggregation == "entropy_of_mean" else entropy


def entropies_nats(
    models: Sequence[DeepGaze3],
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
    precision: torch.dtype,
) -> list[Tensor]:
    """Return each model's sum of the entropies of its densities, nats, through which gradients flow.

    See `DeepGaze3.forward`; center_biases: for each model
    """

    def compute(version: str, numbers: list[int]) -> list[Tensor]:
        chosen, biases = [models[number] for number in numbers], [center_biases[number] for number in numbers]
        if version != TORCH:
            return compiled_entropies(chosen, features, biases, grid)
        predicted = densities(chosen, features, biases, grid, precision)
        return [density.entropy_nats().sum() for density in predicted]

    return in_groups([model.step for model in models], compute)


def bias_entropy_nats(
    density: LogDensity, images: int, normalisation: str, aggregation: str, sum_over_ranks: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return this rank's share of the bias map's entropy (nats, scalar). The shares of all ranks add up to it.

    density: the density that was predicted for this rank's uniform images
    images: the number of uniform images over all ranks
    normalisation: `softmax`: the density as it is; `minmax`: p proportional to (z - min z)/(max z - min z) + 1e-8 with
        z the log density of each map (a constant z gives the uniform density)
    aggregation: `mean_entropy`: mean of the images' entropies; `entropy_of_mean`: entropy of their mean density
    sum_over_ranks: the differentiable sum over ranks
    """
    if normalisation == "minmax":
        density = minmax(density)
    if aggregation == "mean_entropy":
        return density.entropy_nats().sum() / images
    # float64: rounded to float32 the sum would depend on the number of ranks
    mean = sum_over_ranks(density.grid.exp().double().sum(0, keepdim=True)) / images
    return LogDensity(mean.clamp_min(1e-38).log(), density.rows, density.columns).entropy_nats().sum()


def minmax(density: LogDensity) -> LogDensity:
    """Return the density proportional to (z - min z)/(max z - min z) + 1e-8, where z is the log density of each map."""
    z = density.grid
    lowest, highest = z.amin((1, 2), keepdim=True), z.amax((1, 2), keepdim=True)
    span = highest - lowest
    # a constant map: (z - min)/1 is 0 everywhere, so p is uniform and the gradient finite
    scaled = (z - lowest) / torch.where(span > 0, span, torch.ones_like(span))
    return LogDensity.normalised((scaled + 1e-8).log(), density.rows, density.columns)
