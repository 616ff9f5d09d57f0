"""The gold standard: how well a person's fixations are predicted by other people's fixations on the same image.

It is a lower bound of what a perfect model explains, because it knows only some fixations of some people. A model's
share of the gold standard is therefore its share of a lower bound.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse

from entreg.priors.parts import parts

log = logging.getLogger(__name__)

CHUNK = 4096  # fixations whose columns of a map are in memory at a time: 25 MB at 768 rows
PAIRED = 64  # fixations that are paired with all at a time, which stays in a core's cache
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
    image: (n,) index into sizes, image after image
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
    assert (np.diff(image) >= 0).all(), "fixations of an image stand together, image after image"
    starts = np.flatnonzero(np.diff(image, prepend=-1))
    best = None
    components = np.empty((3, len(y)))  # few arrays are there at a time: there may be millions of fixations
    others = components[0]
    for bandwidth in bandwidths:
        mass = {size: _mass_inside(size, bandwidth) for size in set(sizes.ravel().tolist())}
        components[1] = log_prior
        for start, end in pairwise([*starts.tolist(), len(y)]):
            rows, (height, width) = slice(start, end), sizes[image[start]].tolist()
            others[rows] = others_log_density(
                y[rows], x[rows], subject[rows], height, width, bandwidth, mass[height][y[rows]] * mass[width][x[rows]]
            )
            components[2, rows] = -np.log(float(height) * width)
        np.copyto(others, log_prior, where=np.isnan(others))
        weights, log_density = _fit_weights(components)
        if best is None or log_density.mean() > best.log_density.mean():
            best = GoldStandard(log_density, bandwidth, weights)
    assert best is not None  # there is at least one bandwidth
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
    people, person, counts = np.unique(subject, return_inverse=True, return_counts=True)
    # terms that either way adds up; one of a pair takes half as long as one of a map
    terms_of_maps = 2 * len(people) * height * width + len(y) * (width * len(people).bit_length() + height)
    kernel_sums = _over_pairs if len(y) ** 2 < 2 * terms_of_maps else _over_rows
    others = kernel_sums(y, x, person, _falloff(height, bandwidth), _falloff(width, bandwidth), 1 / mass)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0: there is nobody else; log 0: all others are far away
        log_density: np.ndarray = np.log(others / (len(y) - counts[person]))
    return log_density


def _over_pairs(
    y: np.ndarray, x: np.ndarray, person: np.ndarray, in_y: np.ndarray, in_x: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return the weighted sum of other people's kernels at each fixation: (n,). The work grows with n * n.

    in_y, in_x: (H,) and (W,), the Gaussian at each distance in pixels along a side
    """
    numbers = np.arange(len(y))
    of_people = np.zeros((len(y), person.max() + 1))
    of_people[numbers, person] = weight
    others = np.zeros(len(y))
    for some in np.split(numbers, numbers[PAIRED::PAIRED]):
        kernels = in_y[np.abs(y[some, None] - y)] * in_x[np.abs(x[some, None] - x)]
        by_person = kernels @ of_people
        by_person[np.arange(len(some)), person[some]] = 0
        others[some] = by_person.sum(1)
    return others


def _over_rows(
    y: np.ndarray, x: np.ndarray, person: np.ndarray, in_y: np.ndarray, in_x: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return the same as `_over_pairs`, in work that grows with n, and with the number of people.

    Fixations lie on pixels, and a Gaussian is the product of one in y and one in x. So the fixations of each row of
    pixels are first spread along x, which gives a map, and each fixation then takes the sum along its column of the
    map. The map of all others is made for each person by halving the people again and again, so that a person's own
    kernels are never subtracted: where others are far away the difference would be rounding noise.
    """
    along_y, along_x = (falloff[np.abs(np.subtract.outer(*[np.arange(len(falloff))] * 2))] for falloff in (in_y, in_x))
    others = np.zeros(len(y))

    def spread(people: list[np.ndarray]) -> np.ndarray:
        rows = np.concatenate(people)
        pixels = scipy.sparse.csr_matrix((weight[rows], (y[rows], x[rows])), shape=(len(in_y), len(in_x)))
        return np.asarray(pixels @ along_x)

    def take(rows_of_person: np.ndarray, elsewhere: np.ndarray) -> None:
        for start in range(0, len(rows_of_person), CHUNK):
            rows = rows_of_person[start : start + CHUNK]
            others[rows] = np.einsum("nh,hn->n", along_y[y[rows]], elsewhere[:, x[rows]])

    by_person = np.split(np.argsort(person, kind="stable"), np.cumsum(np.bincount(person))[:-1])
    _halve(by_person, np.zeros((len(in_y), len(in_x))), spread, take)
    return others


def _halve(
    people: list[np.ndarray],
    elsewhere: np.ndarray,
    spread: Callable[[list[np.ndarray]], np.ndarray],
    take: Callable[[np.ndarray, np.ndarray], None],
) -> None:
    """Call `take` for each person with the map of all others, from a map of everybody who is not among these people.

    It is a function of its own because one within `_over_rows` that calls itself would keep the matrices there until
    Python looks for cycles.
    """
    if len(people) == 1:
        take(people[0], elsewhere)
        return
    half = len(people) // 2
    _halve(people[:half], elsewhere + spread(people[half:]), spread, take)
    _halve(people[half:], elsewhere + spread(people[:half]), spread, take)


def _falloff(size: int, bandwidth: float) -> np.ndarray:
    """Return the unnormalised Gaussian at each distance of 0, 1, ... pixels along a side: (size,)."""
    falloff: np.ndarray = np.exp(-0.5 * (np.arange(size) / (bandwidth * size)) ** 2)
    return falloff


def _mass_inside(size: int, bandwidth: float) -> np.ndarray:
    """Return, for each pixel of a side, the sum over that side of an unnormalised Gaussian around it: (size,)."""
    tails = np.cumsum(_falloff(size, bandwidth))  # pixels 0..k to one side, including the centre
    both_sides: np.ndarray = tails + tails[::-1] - 1
    return both_sides


def _fit_weights(components: np.ndarray, tolerance: float = 1e-10, steps: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (k,) of a mixture, fitted by EM, and the mixture's log density (n,).

    The likelihood is concave in the weights, so EM from equal weights finds its only maximum. It stops when a step
    gains less than `tolerance` nats per fixation. Source: Dempster, Laird & Rubin 1977.

    components: (k, n) log densities, which are overwritten: there may be millions of fixations
    """
    highest = components.max(0)
    components -= highest
    likelihood = np.exp(components, out=components)
    weights = np.full(len(components), 1 / len(components))
    cut = parts(len(highest))
    mean_log = -np.inf
    for _ in range(steps):
        previous, mean_log, shares = mean_log, 0.0, np.zeros(len(weights))
        for part in cut:
            mixture = weights @ likelihood[:, part]
            mean_log += np.log(mixture).sum() / len(highest)
            shares += likelihood[:, part] @ (1 / mixture) / len(highest)
        if mean_log - previous < tolerance:
            break
        weights = weights * shares
    for part in cut:
        highest[part] += np.log(weights @ likelihood[:, part])
    return weights, highest
