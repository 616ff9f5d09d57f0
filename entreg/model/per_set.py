"""Numbers of their own for each set that a model learns from: scale, spread and the centre bias's weight.

The idea is that of DeepGaze MSDB (Kuemmerer et al. 2025, arXiv 2505.10169). They mean what the numbers mean by which an
evaluation adapts a model to a foreign set (`evaluation/adaptation.py`), so that both can be compared:

    scale_d  = exp(a_d - mean a)            a factor on the readout, whose geometric mean over the sets is 1
    sigma_d  = sigma * exp(b_d - mean b)    the blur, whose geometric mean is sigma
    weight_d = weight + c_d - mean c        the centre bias's weight, whose mean is weight

So the model's other parameters, which have the published names, are those of the average set. They stand in for every
image that belongs to no set of the training: photos, foreign sets, and the uniform images of bias maps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from entreg.config import PER_SET
from entreg.distributed.threads import one_thread
from entreg.features.grid import Grid
from entreg.model.batched_readout import HasLayers
from entreg.model.finalizer import Finalizer, blur_matrix
from entreg.model.readout import Layer


class PerSet(nn.Module):
    """How far each set's numbers are from the average: what is called a, b and c above, (sets,) each, initially 0.

    sets: the names of the sets, in the order of the numbers; numbers: those of PER_SET that each set has of its own
    """

    center_bias: nn.Parameter | None
    scale: nn.Parameter | None
    spread: nn.Parameter | None

    def __init__(self, sets: Sequence[str], numbers: Collection[str]) -> None:
        super().__init__()
        self.sets = tuple(sets)
        for number in PER_SET:
            own = nn.Parameter(torch.zeros(len(self.sets))) if number in numbers else None
            self.register_parameter(number, own)

    def scaled(self, last: Tensor, of_set: str) -> Tensor:
        """Return the last product's matrix (1, 16), float64, with which the networks compute a set's readout."""
        return last if self.scale is None else last * self._from_mean(self.scale, of_set).exp().double()

    def sigma_px(self, sigma_px: Tensor, of_set: str) -> Tensor:
        """Return a set's blur from the average one, both in pixels of the map."""
        return sigma_px if self.spread is None else sigma_px * self._from_mean(self.spread, of_set).exp()

    def weight(self, weight: Tensor, of_set: str) -> Tensor:
        """Return a set's weight of the centre bias from the average one: (1,)."""
        return weight if self.center_bias is None else weight + self._from_mean(self.center_bias, of_set)

    def _from_mean(self, own: Tensor, of_set: str) -> Tensor:
        return own[self.sets.index(of_set)] - own.mean()


class AverageModel(HasLayers, Protocol):
    """The model of the average set, of which this module needs what its own numbers change."""

    finalizer: Finalizer
    step: str

    def in_order(self) -> list[Tensor]:
        """Return the parameters in the order of the compiled step."""


@dataclass(frozen=True)
class OnSet:
    """A model with a set's own numbers, which shares all parameters with the model of the average set."""

    model: AverageModel
    per_set: PerSet
    of_set: str

    @property
    def step(self) -> str:
        """The version of the compiled step."""
        return self.model.step

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters of the model, those of all sets among them."""
        return self.model.parameters()

    def layers(self) -> list[Layer]:
        """Return the layers of the networks with the set's scale, see `DeepGaze3.layers`."""
        *layers, (last, shift) = self.model.layers()
        return [*layers, (self.per_set.scaled(last, self.of_set), shift)]

    def in_order(self) -> list[Tensor]:
        """Return the parameters with the set's own numbers, see `DeepGaze3.in_order`."""
        *networks, last, _, _ = self.model.in_order()
        with one_thread():
            last = self.per_set.scaled(last, self.of_set)
        return [*networks, last, *self.sigma_and_weight()]

    def tensors(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the finalizer computes with for the set, see `Finalizer.tensors`."""
        sigma_px, weight = self.sigma_and_weight()
        return blur_matrix(sigma_px, grid.rows), blur_matrix(sigma_px, grid.columns), weight

    def numbers(self) -> dict[str, float]:
        """Return those numbers that the set has of its own: `scale`, `sigma_px` and `center_bias_weight`."""
        sigma_px, weight = self.sigma_and_weight()
        scale = self.per_set.scaled(torch.ones_like(weight, dtype=torch.float64), self.of_set)
        own = {
            "scale": (self.per_set.scale, scale),
            "sigma_px": (self.per_set.spread, sigma_px),
            "center_bias_weight": (self.per_set.center_bias, weight),
        }
        return {key: float(value.detach()) for key, (learned, value) in own.items() if learned is not None}

    def sigma_and_weight(self) -> tuple[Tensor, Tensor]:
        """Return the set's blur (pixels of the map) and its weight of the centre bias."""
        finalizer = self.model.finalizer
        with one_thread():
            return (
                self.per_set.sigma_px(finalizer.gauss.sigma, self.of_set),
                self.per_set.weight(finalizer.center_bias_weight, self.of_set),
            )
