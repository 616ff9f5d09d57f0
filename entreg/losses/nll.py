"""The NLL of human fixations: all of the baseline's loss, and what every other loss adds to. Everything in nats."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from entreg.config import Loss
from entreg.model.log_density import LogDensity
from entreg.settings import setting


@dataclass
class Settings(Loss):
    """Human fixations alone: nothing is computed from the bias map."""

    name: str = setting("nll", "its name", changes="result", one_of=("nll",))
    column = "bias_entropy_nats"  # empty, so that steps.csv has the same columns in both arms

    def remark(self) -> str | None:
        """Say that lambda has no use here, where it was given."""
        if self.lambda_entropy == Loss().lambda_entropy:
            return None
        return (
            f"loss=nll has no use for loss.lambda_entropy={self.lambda_entropy:g}; the regularised arm is "
            "loss=nll_entropy"
        )


def fixation_weights(counts: Tensor, mean_over: str) -> Tensor:
    """(B,) weight of each fixation of an image in the mean over a whole (global) batch.

    counts: (B,) fixations of every image of the global batch, each at least 1
    mean_over: `images`: mean over images of the mean over an image's fixations (the published loss);
        `fixations`: mean over all fixations
    """
    if mean_over == "images":
        return 1 / (counts * len(counts))
    return torch.ones_like(counts) / counts.sum()


def nll_nats(density: LogDensity, image: Tensor, y: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum over fixations of the negative log density: (B,), each image's share of the global mean, nats.

    image, y, x: (n,) of every fixation: image of the batch and pixel
    weights: (B,) of a fixation on each image, see `fixation_weights`; a rank's shares add up over the ranks
    """
    log_p = density.at(image, y, x)
    return -weights * log_p.new_zeros(len(weights)).index_add(0, image, log_p)
