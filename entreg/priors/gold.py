"""The gold standard: how well a person's fixations are predicted by other people's fixations on the same image.

It is a lower bound of what a perfect model explains, because it knows only some fixations of some people. A model's
share of the gold standard is therefore its share of a lower bound.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

log = logging.getLogger(__name__)

BANDWIDTHS = tuple(np.geomspace(0.01, 0.1, 10).tolist())


@dataclass(frozen=True)
class GoldStandard:
    """A leave-one-observer-out mixture of the other observers' KDE, the KDE prior and a uniform density.

    log_density: (n,) nats at each fixation, predicted without any fixation of the same person on that image
    bandwidth: the bandwidth of the other observers' KDE as a share of each side
    weights: (3,) the weights of other observers, prior and uniform density, which sum to 1
    """

    log_density: np.ndarray
    bandwidth: float
    weights: np.ndarray


def gold_standard(
    y: np.ndarray,
    x: np.ndarray,
    image: np.ndarray,
    subject: np.ndarray,
    sizes: np.ndarray,
    log_prior: np.ndarray,
    bandwidths: tuple[float, ...] = BANDWIDTHS,
) -> GoldStandard:
    """Fit the mixture to the fixations of a data set and evaluate it at them.

    y, x: (n,) integers, the pixels of the fixations
    image: (n,) index into sizes
    subject: (n,) the person who looked
    sizes: (images, 2) height and width in pixels
    log_prior: (n,) nats, the KDE prior at the fixations, built without the fixations on the same image

    The bandwidth and the weights, which all images share, maximise the likelihood of the fixations, where each fixation
    is held out with all others of its observer. The same fixations choose these few parameters and are evaluated, so
    the estimate is very slightly higher than a fully held-out one. Where nobody else looked at an image, the prior
    replaces the other observers. After Kuemmerer, Wallis & Bethge 2015, PNAS. The GoldModel of pysaliency 0.2.22
    differs: it bins the fixations to pixels first and mirrors what a kernel loses over the border, where here each
    kernel is divided by its sum inside the image.
    """
    y, x, image, subject = (np.asarray(values) for values in (y, x, image, subject))
    sizes, log_prior = np.asarray(sizes), np.asarray(log_prior, dtype=np.float64)
    log_uniform = -np.log(sizes.prod(1, dtype=np.float64))[image]
    rows_of_images = [np.flatnonzero(image == index) for index in np.unique(image)]
    candidates = []
    for bandwidth in bandwidths:
        mass = {size: _mass_inside(size, bandwidth) for size in set(sizes.ravel().tolist())}
        others = np.empty(len(y))
        for rows in rows_of_images:
            height, width = sizes[image[rows[0]]].tolist()
            others[rows] = others_log_density(
                y[rows], x[rows], subject[rows], height, width, bandwidth, mass[height][y[rows]] * mass[width][x[rows]]
            )
        alone = np.isnan(others)
        components = np.stack([np.where(alone, log_prior, others), log_prior, log_uniform])
        weights, log_density = _fit_weights(components)
        candidates.append(GoldStandard(log_density, bandwidth, weights))
    best = max(candidates, key=lambda candidate: float(candidate.log_density.mean()))
    if len(bandwidths) > 1 and best.bandwidth in (min(bandwidths), max(bandwidths)):
        log.warning(
            "gold standard: the best bandwidth, %.3g of the image's side, is at the end of the range that was tried; "
            "one beyond it might give a higher gold standard",
            best.bandwidth,
        )
    return best


def others_log_density(
    y: np.ndarray,
    x: np.ndarray,
    subject: np.ndarray,
    height: int,
    width: int,
    bandwidth: float,
    mass: np.ndarray | None = None,
) -> np.ndarray:
    """Return the log density of all *other* subjects' fixations at each fixation on one image: (n,) nats.

    It is NaN where there are no other subjects. The KDE is the mean of Gaussians around the fixated pixels, each
    divided by its sum over the pixels of the image, so that it sums to 1 over them.

    mass: (n,) those sums; None: they are computed here
    """
    if mass is None:
        mass = _mass_inside(height, bandwidth)[y] * _mass_inside(width, bandwidth)[x]
    distance2 = ((y[:, None] - y) / (bandwidth * height)) ** 2 + ((x[:, None] - x) / (bandwidth * width)) ** 2
    other = subject[:, None] != subject
    kernels = np.where(other, np.exp(-0.5 * distance2) / mass, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0: there is nobody else; log 0: all others are far away
        log_density: np.ndarray = np.log(kernels.sum(1) / other.sum(1))
    return log_density


def _mass_inside(size: int, bandwidth: float) -> np.ndarray:
    """Return, for each pixel of a side, the sum over that side of an unnormalised Gaussian around it: (size,)."""
    distance = np.arange(size) / (bandwidth * size)
    tails = np.cumsum(np.exp(-0.5 * distance**2))  # pixels 0..k to one side, including the centre
    both_sides: np.ndarray = tails + tails[::-1] - 1
    return both_sides


def _fit_weights(components: np.ndarray, tolerance: float = 1e-10, steps: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (k,) of a mixture, fitted by EM, and the mixture's log density (n,).

    The likelihood is concave in the weights, so EM from equal weights finds its only maximum. It stops when a step
    gains less than `tolerance` nats per fixation. Source: Dempster, Laird & Rubin 1977.

    components: (k, n) log densities
    """
    highest = components.max(0)
    likelihood = np.exp(components - highest)
    weights = np.full(len(components), 1 / len(components))
    mean_log = -np.inf
    for _ in range(steps):
        mixture = weights @ likelihood
        previous, mean_log = mean_log, np.log(mixture).mean()
        if mean_log - previous < tolerance:
            break
        weights = weights * (likelihood @ (1 / mixture)) / len(mixture)
    return weights, np.log(weights @ likelihood) + highest
