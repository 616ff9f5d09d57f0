"""Spatial DeepGaze III (Kuemmerer, Bethge & Wallis 2022, doi 10.1167/jov.22.5.7), which reads stored features."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from entreg.features.grid import Grid
from entreg.features.rectified import Features
from entreg.model.batched_readout import Head, readouts
from entreg.model.compiled_step import Fixated, image_losses, log_densities
from entreg.model.finalizer import Finalizer, log_density
from entreg.model.in_groups import in_groups
from entreg.model.log_density import LogDensity, cell_of_pixel
from entreg.model.per_set import OnSet, PerSet
from entreg.model.readout import FixationSelectionNetwork, Layer, Pointwise, SaliencyNetwork
from entreg.model.step_library import TORCH


class DeepGaze3(nn.Module):
    """The trained part of the model: readout networks, blur and weight of the centre bias.

    The state dict has the published parameter names. Where sets have numbers of their own, it also has these, and the
    model by itself is that of the average set; `on` returns that of one set.

    channels: the number of channels of all taps together
    sigma_px: the initial blur, in pixels of the blurred map
    seed: the seed of the initial weights
    per_set: the numbers that each set has of its own; None where sets have none

    step: the version of the compiled step that computes densities, one of `step_library.available`; `torch`: PyTorch
    """

    def __init__(self, channels: int, sigma_px: float, seed: int, per_set: PerSet | None = None) -> None:
        super().__init__()
        self.saliency_network = SaliencyNetwork(channels)
        self.fixation_selection_network = FixationSelectionNetwork()
        self.finalizer = Finalizer(sigma_px)
        self.per_set = per_set
        self.step = TORCH
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, Pointwise):
                    # PyTorch's default for convolutions: uniform within 1/sqrt(inputs)
                    bound = 1 / math.sqrt(layer.weight.shape[1])
                    layer.weight.copy_((torch.rand(layer.weight.shape, generator=generator) * 2 - 1) * bound)

    def forward(
        self,
        features: Tensor | Sequence[Features],
        center_bias: Tensor,
        grid: Grid,
        precision: torch.dtype = torch.float32,
    ) -> LogDensity:
        """Return the log densities of a batch of images of one size.

        features: (B, cells, C) normalised, as the store holds them; a tensor or a sequence of B times (cells, C)
        center_bias: (B, m_y, m_x) log density in nats at the pixels that `grid` names
        precision: the precision of the widest product; the rest is float32
        """
        return densities([self], features, [center_bias], grid, precision)[0]

    def readout(
        self, features: Tensor | Sequence[Features], grid: Grid, precision: torch.dtype = torch.float32
    ) -> Tensor:
        """Return the networks' readout of the features, before blur and centre bias: (B, cells, 1)."""
        return readouts([self], features, grid, precision)[0]

    def layers(self) -> list[Layer]:
        """Return the layers of the networks, see `readouts`. The last layer has no shift."""
        last = self.fixation_selection_network.conv2.matrix.double()
        layers = [*self.saliency_network.layers(), *self.fixation_selection_network.layers()]
        return [*layers, (last, last.new_zeros(0))]

    def tensors(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the finalizer computes with, see `Finalizer.tensors`."""
        return self.finalizer.tensors(grid)

    def in_order(self) -> list[Tensor]:
        """Return the parameters in the order in which the compiled step reads them, see model/step/parameters.h."""
        networks = *self.saliency_network.parameters(), *self.fixation_selection_network.parameters()
        return [*networks, self.finalizer.gauss.sigma, self.finalizer.center_bias_weight]

    def on(self, of_set: str) -> DeepGaze3 | OnSet:
        """Return the model that predicts images of a set: with the set's own numbers where it has some, else itself."""
        return self._on_each().get(of_set, self)

    def own_numbers(self) -> dict[str, dict[str, float]]:
        """Return, by set, the numbers that it has of its own, see `OnSet.numbers`."""
        return {of_set: on_set.numbers() for of_set, on_set in self._on_each().items()}

    def of_each_set(self) -> dict[str, DeepGaze3]:
        """Return, by set that has numbers of its own, a model by itself whose parameters hold them.

        It predicts the same bits as `on(of_set)`.
        """
        return {of_set: self._copied(on_set) for of_set, on_set in self._on_each().items()}

    @torch.no_grad()
    def _copied(self, on_set: OnSet) -> DeepGaze3:
        model = copy.deepcopy(self)
        model.per_set = None
        (last, _), conv2 = on_set.layers()[-1], model.fixation_selection_network.conv2
        conv2.weight.copy_(last.view_as(conv2.weight))
        sigma_px, weight = on_set.sigma_and_weight()
        model.finalizer.gauss.sigma.copy_(sigma_px)
        model.finalizer.center_bias_weight.copy_(weight)
        return model

    def _on_each(self) -> dict[str, OnSet]:
        return {} if self.per_set is None else {name: OnSet(self, self.per_set, name) for name in self.per_set.sets}


def densities(
    models: Sequence[DeepGaze3 | OnSet],
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
    precision: torch.dtype,
) -> list[LogDensity]:
    """Return the log densities of each of several models for the same images, see `DeepGaze3.forward`.

    center_biases: (B, m_y, m_x) for each model
    """
    rows, columns = (axis.map_counts.to(center_biases[0].device) for axis in (grid.rows, grid.columns))

    def grids(version: str, numbers: list[int]) -> Sequence[Tensor]:
        chosen, biases = [models[number] for number in numbers], [center_biases[number] for number in numbers]
        if version == TORCH:
            heads = [_head(model, center_bias, grid) for model, center_bias in zip(chosen, biases, strict=True)]
            return readouts(chosen, features, grid, precision, heads)
        assert precision == torch.float32, "the compiled step computes in float32"
        return log_densities(version, [model.in_order() for model in chosen], features, biases, grid)

    return [LogDensity(density, rows, columns) for density in in_groups([model.step for model in models], grids)]


def compiled_nlls(
    models: Sequence[DeepGaze3 | OnSet],
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
    at: tuple[Tensor, Tensor, Tensor],
    weights: Sequence[Tensor],
) -> list[tuple[Tensor, Tensor]]:
    """Return what `losses.nll.nlls_nats` does, for models whose steps are computed by the same compiled version.

    at: the image in the batch, and the pixel (y, x), of every fixation, image by image
    """
    image, y, x = at
    assert bool((image.diff() >= 0).all()), "fixations of an image stand together, image by image"
    counts = torch.bincount(image, minlength=len(features))
    rows, columns = _map_of_pixels(grid)
    fixated = Fixated(counts, rows[y], columns[x], torch.stack(list(weights), 1))
    parameters = [model.in_order() for model in models]
    return image_losses(models[0].step, parameters, features, center_biases, grid, fixated)


def compiled_entropies(
    models: Sequence[DeepGaze3 | OnSet],
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
) -> list[Tensor]:
    """Return what `losses.nll_entropy.entropies_nats` does, for models of the same compiled version."""
    parameters = [model.in_order() for model in models]
    return [total for total, _ in image_losses(models[0].step, parameters, features, center_biases, grid, None)]


@lru_cache(maxsize=64)
def _map_of_pixels(grid: Grid) -> tuple[Tensor, Tensor]:
    """Return the map's row of each row of an image's pixels, and its column of each column."""
    return cell_of_pixel(grid.rows.map_counts), cell_of_pixel(grid.columns.map_counts)


def _head(model: DeepGaze3 | OnSet, center_bias: Tensor, grid: Grid) -> Head:
    """Return the head that computes log densities from readouts with the model's finalizer."""

    def compute(readout: Tensor, tensors: Sequence[Tensor], images: slice) -> Tensor:
        rows, columns, weight = tensors
        return log_density(readout, center_bias[images], grid, rows, columns, weight).grid

    return Head(model.tensors(grid), compute)
