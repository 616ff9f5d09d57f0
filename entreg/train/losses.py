"""What is minimised: NLL of human fixations, minus lambda times the entropy of the bias map. Everything in nats."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from entreg.config import Loss
from entreg.model.log_density import LogDensity
from entreg.ranks import Ranks


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


def bias_entropy_nats(
    density: LogDensity, images: int, normalisation: str, aggregation: str, sum_over_ranks: Callable[[Tensor], Tensor]
) -> Tensor:
    """This rank's share of the bias map's entropy (nats, scalar): the shares of all ranks add up to it.

    density: predicted for this rank's uniform images
    images: number of uniform images over all ranks
    normalisation: `softmax`: the density as it is; `minmax`: p proportional to (z - min z)/(max z - min z) + 1e-8 with
        z the log density of each map (a constant z gives the uniform density)
    aggregation: `mean_entropy`: mean of the images' entropies; `entropy_of_mean`: entropy of their mean density
    sum_over_ranks: differentiable sum over ranks, divided by their number in the result's share
    """
    if normalisation == "minmax":
        density = minmax(density)
    if aggregation == "mean_entropy":
        return density.entropy_nats().sum() / images
    # float64: rounded to float32 the sum would depend on the number of ranks
    mean = sum_over_ranks(density.grid.exp().double().sum(0, keepdim=True)) / images
    return LogDensity(mean.clamp_min(1e-38).log(), density.rows, density.columns).entropy_nats().sum()


def minmax(density: LogDensity) -> LogDensity:
    """The density proportional to (z - min z)/(max z - min z) + 1e-8, z the log density of each map."""
    z = density.grid
    lowest, highest = z.amin((1, 2), keepdim=True), z.amax((1, 2), keepdim=True)
    span = highest - lowest
    # a constant map: (z - min)/1 is 0 everywhere, so p is uniform and the gradient finite
    scaled = (z - lowest) / torch.where(span > 0, span, torch.ones_like(span))
    return LogDensity.normalised((scaled + 1e-8).log(), density.rows, density.columns)


def bias_entropy_share(density: LogDensity, images: int, loss: Loss, ranks: Ranks) -> Tensor:
    """This rank's share of the bias map's entropy, as the settings of the loss define it; see `bias_entropy_nats`."""
    entropy = bias_entropy_nats(density, images, loss.normalisation, loss.aggregation, ranks.differentiable_sum)
    # the entropy of the mean map is the same on all ranks
    return entropy / ranks.count if loss.aggregation == "entropy_of_mean" else entropy


class Regulariser(NamedTuple):
    """What a loss computes from the densities predicted for the uniform images, and adds with its weight to the NLL.

    column: of steps.csv that holds it
    share: of a rank: from its densities, the number of uniform images over all ranks, the loss and the ranks
    """

    column: str
    share: Callable[[LogDensity, int, Loss, Ranks], Tensor]


REGULARISERS = {
    "nll": Regulariser("bias_entropy_nats", bias_entropy_share),  # with weight 0: it is not computed
    "nll_entropy": Regulariser("bias_entropy_nats", bias_entropy_share),
}
