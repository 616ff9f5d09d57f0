"""The gold standard: how well people's fixations are predicted by other people's on the same image.

What is explained of a fixation can't be more than a perfect model explains, and the gold standard estimates that from
below: it knows only some fixations of some people. A share of it is a lower bound's share.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

log = logging.getLogger(__name__)

BANDWIDTHS = tuple(np.geomspace(0.01, 0.1, 10).tolist())


@dataclass(frozen=True)
class GoldStandard:
    """Leave-one-observer-out mixture of other observers' KDE, KDE prior and uniform density.

    log_density: (n,) nats, at each fixation, predicted without any fixation of the same person on that image
    bandwidth: of the other observers' KDE, share of each side
    weights: (3,) of other observers, prior and uniform; they sum to 1
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
    """Fits the mixture to the fixations of a data set and evaluates it at them.

    y, x: (n,) integers, pixels of the fixations; image: (n,) index into sizes; subject: (n,) who looked
    sizes: (images, 2), height and width in pixels
    log_prior: (n,) nats, the KDE prior at the fixations, built without the fixations of the same image

    Bandwidth and weights, one set for all images, are those with the greatest likelihood of the fixations, each of
    them held out with all others of its observer. The same fixations choose these parameters and are evaluated: a
    handful of parameters against thousands of fixations, but an estimate very slightly above a fully held-out one.
    Where nobody else looked at an image, the prior stands in for the other observers.
    After Kuemmerer, Wallis & Bethge 2015, PNAS.
    """
    y, x, image, subject = (np.asarray(values) for values in (y, x, image, subject))
    sizes, log_prior = np.asarray(sizes), np.asarray(log_prior, dtype=np.float64)
    log_uniform = -np.log(sizes.prod(1, dtype=np.float64))[image]
    of_images = [np.flatnonzero(image == index) for index in np.unique(image)]
    tried = []
    for bandwidth in bandwidths:
        mass = {size: _mass_inside(size, bandwidth) for size in set(sizes.ravel().tolist())}
        others = np.empty(len(y))
        for at in of_images:
            height, width = sizes[image[at[0]]].tolist()
            others[at] = others_log_density(
                y[at], x[at], subject[at], height, width, bandwidth, mass[height][y[at]] * mass[width][x[at]]
            )
        alone = np.isnan(others)
        components = np.stack([np.where(alone, log_prior, others), log_prior, log_uniform])
        weights, log_density = _fit_weights(components)
        tried.append(GoldStandard(log_density, bandwidth, weights))
    best = max(tried, key=lambda one: one.log_density.mean())
    if len(bandwidths) > 1 and best.bandwidth in (min(bandwidths), max(bandwidths)):
        log.warning(
            "gold standard: the likeliest bandwidth, %.3g of the image's side, is the last one tried; with one "
            "beyond it the gold standard would be higher",
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
    """One image: log of the KDE of all *other* subjects' fixations at each fixation: (n,) nats; NaN if there are none.

    The kernels are Gaussians around the fixated pixels, each divided by its mass, (n,), which is its sum over the
    pixels of the image: each kernel, and so their mean, sums to 1 over the pixels. None: it is computed here.
    """
    if mass is None:
        mass = _mass_inside(height, bandwidth)[y] * _mass_inside(width, bandwidth)[x]
    distance2 = ((y[:, None] - y) / (bandwidth * height)) ** 2 + ((x[:, None] - x) / (bandwidth * width)) ** 2
    other = subject[:, None] != subject
    kernels = np.where(other, np.exp(-0.5 * distance2) / mass, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0: nobody else; log 0: everybody else is far away
        return np.log(kernels.sum(1) / other.sum(1))


def _mass_inside(size: int, bandwidth: float) -> np.ndarray:
    """(size,): for each pixel of a side the sum over that side's pixels of an unnormalised Gaussian around it."""
    distance = np.arange(size) / (bandwidth * size)
    tails = np.cumsum(np.exp(-0.5 * distance**2))  # pixels 0..k to one side, the centre included
    return tails + tails[::-1] - 1


def _fit_weights(components: np.ndarray, tolerance: float = 1e-10, steps: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Weights (k,) of the mixture of k components (k, n; log densities) by EM, and the mixture's log density (n,).

    The likelihood is concave in the weights, so EM from equal weights finds its one maximum; it stops when a step
    gains less than `tolerance` nats a fixation. Source: Dempster, Laird & Rubin 1977.
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
