"""The NLL of human fixations, in nats: the baseline's whole loss, and a term of every other loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from entreg.config import Loss
from entreg.config.settings import setting
from entreg.features.grid import Grid
from entreg.features.rectified import Features
from entreg.model.deepgaze3 import DeepGaze3, compiled_nlls, densities
from entreg.model.in_groups import in_groups
from entreg.model.log_density import LogDensity
from entreg.model.per_set import OnSet
from entreg.model.step_library import TORCH


@dataclass
class Settings(Loss):
    """The NLL alone, without the bias map."""

    name: str = setting("nll", "name of the loss", affects="result", one_of=("nll",))
    column = "bias_entropy_nats"  # empty here, so that steps.csv has the same columns in both arms

    def remark(self) -> str | None:
        """Return the remark that lambda is ignored, where it was given."""
        if self.lambda_entropy == Loss().lambda_entropy:
            return None
        return f"loss=nll ignores loss.lambda_entropy={self.lambda_entropy:g}; the regularised arm is loss=nll_entropy"


def fixation_weights(counts: Tensor, mean_over: str) -> Tensor:
    """Return the weight that a fixation on each image has in the mean over the global batch: (B,).

    counts: (B,) number of fixations on every image of the global batch, each at least 1
    mean_over: `images`: mean over images of the mean over an image's fixations (the published loss);
        `fixations`: mean over all fixations
    """
    if mean_over == "images":
        return 1 / (counts * len(counts))
    return torch.ones_like(counts) / counts.sum()


def nll_nats(density: LogDensity, image: Tensor, y: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    """Return each image's share of the global mean of the negative log density at fixations: (B,) nats.

    image, y, x: (n,) the image in the batch, and the pixel, of every fixation
    weights: (B,) the weight of a fixation on each image, see `fixation_weights`; shares add up over the ranks
    """
    log_p = density.at(image, y, x)
    return -weights * log_p.new_zeros(len(weights)).index_add(0, image, log_p)


def nlls_nats(
    models: Sequence[DeepGaze3 | OnSet],
    features: Tensor | Sequence[Features],
    center_bias: Tensor,
    grid: Grid,
    precision: torch.dtype,
    at: tuple[Tensor, Tensor, Tensor],
    weights: Sequence[Tensor],
) -> list[tuple[Tensor, Tensor]]:
    """Return each model's NLL, through which gradients flow, and what each image adds to it, (B,), in nats.

    features, center_bias, grid, precision: see `DeepGaze3.forward`
    at: the image in the batch, and the pixel (y, x), of every fixation, image by image
    weights: for each model, see `nll_nats`
    """

    def compute(version: str, numbers: list[int]) -> list[tuple[Tensor, Tensor]]:
        chosen, biases = [models[number] for number in numbers], [center_bias] * len(numbers)
        of_each = [weights[number] for number in numbers]
        if version != TORCH:
            return compiled_nlls(chosen, features, biases, grid, at, of_each)
        predicted = densities(chosen, features, biases, grid, precision)
        images = [nll_nats(density, *at, of_model) for density, of_model in zip(predicted, of_each, strict=True)]
        return [(of_image.sum(), of_image.detach()) for of_image in images]

    return in_groups([model.step for model in models], compute)
