"""Adapt a trained model to a foreign set by at most three numbers; everything else stays as trained.

After Kuemmerer et al. 2025 (arXiv 2505.10169), whose models have such numbers for each data set:

    centre_bias   the set's own centre bias replaces the training set's, and its weight is fitted
    scale         a factor on the readout, below 1 where the model is overconfident
    spread        the blur's sigma

The numbers are fitted by maximum likelihood on some images and evaluated on others. For a given blur, the log
likelihood of an image is the mean of s B + w C over its fixations minus the logsumexp of s B + w C over its pixels,
where s is the scale, w the weight, B the blurred readout and C the centre bias. It is concave in s and w, so Newton's
method with a check of each step finds its one maximum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import torch
from torch import Tensor

from entreg.evaluation.adaptation_data import AdaptationData, SizeGroup
from entreg.evaluation.moments import LOG_SUM, moments
from entreg.features.grid import Grid
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.finalizer import Gauss
from entreg.study.split import Split
from entreg.units import BITS_PER_NAT

ADAPTED = ("centre_bias", "scale", "spread")
SUBSETS = tuple(chain.from_iterable(combinations(ADAPTED, k) for k in range(len(ADAPTED) + 1)))
NO_BLUR_PX = 0.05  # map pixels: the kernel is 1 at its middle
LEAST_BLUR_PX = 0.3  # map pixels: a smaller blur equals none, since the kernel is below 0.004 beside its middle
COARSE, FINEST = 0.5, 1 / 16  # octaves: the first and the last step of the search for a blur
ENOUGH_NATS = 1e-8  # Newton's method ends where a step can gain no more than this
MOST_STEPS = 50

Quantities = tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """The numbers fitted for one fold: a factor on the readout, the centre bias's weight, the blur (map pixels)."""

    scale: float
    weight: float
    sigma_px: float


@dataclass(frozen=True)
class Adapted:
    """The information gain of a model on a foreign set after each adaptation.

    ig_bits: by adapted numbers, (n_images,) information gain over the Gaussian prior; each image is scored with a fit
        to other images
    fits: by adapted numbers, a fit for each fold; trained: the model's numbers as trained
    narrowest_px, widest_px: the ends of the search for a blur, which are no blur and half the shorter side
    """

    ig_bits: dict[Quantities, np.ndarray]
    fits: dict[Quantities, list[Fit]]
    trained: Fit
    narrowest_px: float
    widest_px: float


@torch.no_grad()
def adapt(model: DeepGaze3, split: Split, data: AdaptationData, version: str) -> Adapted:
    """Fit every subset of the numbers to all folds but one and score the images of that fold, for each fold.

    version: that of the sums over pixels, see `moments`
    """
    return _Adaptation(model, split, data, version).run()


class _Adaptation:
    """One model on one foreign set.

    readouts, grids: by size, the readouts of the images and the grid of their maps
    given, given_fitted, given_at: by size, the centre bias that the model was trained with: whole maps, at the pixels
        that a fit sums over, and its mean over each image's fixations
    """

    def __init__(self, model: DeepGaze3, split: Split, data: AdaptationData, version: str) -> None:
        finalizer, self.version = model.finalizer, version
        self.trained = Fit(1.0, float(finalizer.center_bias_weight), abs(float(finalizer.gauss.sigma)))
        self.data = data
        self.readouts = [_readouts(model, split, group) for group in data.groups]
        self.grids = [split.store.recipe.grid(group.size) for group in data.groups]
        self.given = [torch.stack([split.center_biases[i] for i in group.numbers]) for group in data.groups]
        self.given_fitted = [
            given[:, group.rows[:, None], group.columns].flatten(1)
            for given, group in zip(self.given, data.groups, strict=True)
        ]
        self.given_at = [group.at(given) for given, group in zip(self.given, data.groups, strict=True)]
        self.widest_px = min(min(len(group.row_counts), len(group.column_counts)) for group in data.groups) / 2
        self._blurred: dict[float, list[tuple[Tensor, Tensor]]] = {}

    def run(self) -> Adapted:
        """Fit and score every subset of the numbers."""
        ig_bits, fits = {}, {}
        for subset in SUBSETS:
            if not subset:
                fits[subset] = [self.trained] * self.data.n_folds
            else:
                fits[subset] = [self._fit(subset, fold) for fold in range(self.data.n_folds)]
            ig_bits[subset] = self._ig_bits(subset, fits[subset])
        return Adapted(ig_bits, fits, self.trained, NO_BLUR_PX, self.widest_px)

    def _fit(self, subset: Quantities, fold: int) -> Fit:
        """Return the numbers of greatest likelihood on all images but the fold's."""
        free = ("scale" in subset, "centre_bias" in subset)
        likelihood = _Likelihood(self, fold, own_center_bias="centre_bias" in subset, free=free)
        best = likelihood.maximum(self.trained.sigma_px, (self.trained.scale, self.trained.weight))
        if "spread" not in subset:
            return best.fit
        maxima = {0.0: best}  # by octaves from the trained blur

        def at(octaves: float) -> _Maximum:
            octaves = self._within(octaves)
            if octaves not in maxima:
                nearest = min(maxima, key=lambda known: abs(known - octaves))
                start = maxima[nearest].fit
                maxima[octaves] = likelihood.maximum(self._sigma_px(octaves), (start.scale, start.weight))
            return maxima[octaves]

        here, step = 0.0, COARSE
        while step >= FINEST:
            # of equal likelihoods the blur nearer to the trained one counts
            ahead = max((here, here - step, here + step), key=lambda place: (at(place).nats, -abs(self._within(place))))
            ahead = self._within(ahead)
            if ahead == here:
                step /= 2
            else:
                here = ahead
        return at(here).fit

    def _within(self, octaves: float) -> float:
        """Return the octaves from the trained blur, limited by no blur at all and half the shorter side."""
        least, most = (math.log2(px / self.trained.sigma_px) for px in (LEAST_BLUR_PX, self.widest_px))
        return -math.inf if octaves < least else min(octaves, max(most, 0.0))

    def _sigma_px(self, octaves: float) -> float:
        """Return the blur (map pixels) that lies so many octaves from the trained one."""
        px = self.trained.sigma_px * 2**octaves
        return self.widest_px if math.isclose(px, self.widest_px) else max(NO_BLUR_PX, px)

    def blurred(self, sigma_px: float) -> list[tuple[Tensor, Tensor]]:
        """Return the blurred readouts of each size.

        These are the values at the pixels that a fit sums over, (n, M), and the mean over the fixations, (n,).
        """
        if sigma_px not in self._blurred:
            pairs = []
            for group, grid, readouts in zip(self.data.groups, self.grids, self.readouts, strict=True):
                rows, columns = _matrices(grid, sigma_px)
                fitted = rows[group.rows] @ readouts @ columns[group.columns].T
                pairs.append((fitted.flatten(1), group.blurred_at(readouts, rows, columns)))
            self._blurred[sigma_px] = pairs
        return self._blurred[sigma_px]

    def _ig_bits(self, subset: Quantities, fits: Sequence[Fit]) -> np.ndarray:
        """Return the IG of each image with the numbers fitted for its fold: (n_images,) bits.

        It is exact: the density is normalised over all pixels.
        """
        ig_bits = np.empty(self.data.n_images)
        for k, (group, grid, readouts) in enumerate(zip(self.data.groups, self.grids, self.readouts, strict=True)):
            center_biases = group.kde if "centre_bias" in subset else self.given[k]
            log_counts = (group.row_counts[:, None] * group.column_counts).flatten().float().log()
            nats = torch.empty(len(group.numbers), dtype=torch.float64)
            for fold in np.unique(group.fold):
                images = torch.from_numpy(np.flatnonzero(group.fold == fold))
                fit = fits[fold]
                rows, columns = _matrices(grid, fit.sigma_px)
                blurred = rows @ readouts[images] @ columns.T
                log_sum = moments(
                    self.version,
                    log_counts,
                    blurred.flatten(1),
                    center_biases[images].flatten(1),
                    torch.arange(len(images)),
                    fit.scale,
                    fit.weight,
                )[:, LOG_SUM]
                at = fit.scale * group.at(blurred, images) + fit.weight * group.at(center_biases[images], images)
                nats[images] = at.double() - log_sum
            ig_bits[group.numbers] = ((nats - group.log_prior) * BITS_PER_NAT).numpy()
        return ig_bits


@dataclass(frozen=True)
class _Maximum:
    """The greatest likelihood for a given blur."""

    fit: Fit
    nats: float


class _Likelihood:
    """The log likelihood of all images but one fold's, as a function of scale and weight; mean over images."""

    def __init__(self, adaptation: _Adaptation, fold: int, own_center_bias: bool, free: tuple[bool, bool]) -> None:
        self._adaptation, self.free = adaptation, free
        groups = adaptation.data.groups
        self._images = [torch.from_numpy(np.flatnonzero(group.fold != fold)) for group in groups]
        self._count = sum(len(images) for images in self._images)
        self._center_biases = [
            (group.kde_fitted[fold], _float64(group.kde_at[fold][images]))
            if own_center_bias
            else (adaptation.given_fitted[k], _float64(adaptation.given_at[k][images]))
            for k, (group, images) in enumerate(zip(groups, self._images, strict=True))
        ]

    def maximum(self, sigma_px: float, start: tuple[float, float]) -> _Maximum:
        """Return the maximum that Newton's method finds from `start` over the free numbers, all at least 0."""
        blurred = [
            (fitted, _float64(at[images]))
            for (fitted, at), images in zip(self._adaptation.blurred(sigma_px), self._images, strict=True)
        ]
        theta = np.array(start, dtype=np.float64)
        nats, gradient, hessian = self._at(blurred, theta)
        for _ in range(MOST_STEPS):
            # a number at 0 that would fall below it stays there
            moving = np.array(
                [
                    free and not (value == 0 and slope < 0)
                    for free, value, slope in zip(self.free, theta, gradient, strict=True)
                ]
            )
            step = _newton_step(gradient, hessian, moving)
            if gradient @ step / 2 < ENOUGH_NATS:
                break
            length = 1.0
            while True:
                next_theta = np.maximum(theta + length * step, 0)
                next_nats, *slopes = self._at(blurred, next_theta)
                if next_nats >= nats or length < 1e-6:
                    break
                length /= 2
            if next_nats < nats:
                break
            theta, nats, (gradient, hessian) = next_theta, next_nats, slopes
        return _Maximum(Fit(float(theta[0]), float(theta[1]), sigma_px), nats)

    def _at(self, blurred: list[tuple[Tensor, np.ndarray]], theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the mean log likelihood (nats), its gradient (2,) and Hessian (2, 2)."""
        scale, weight = theta.tolist()
        sums = np.zeros(6)
        groups = self._adaptation.data.groups
        for (b, b_at), (c, c_at), images, group in zip(blurred, self._center_biases, self._images, groups, strict=True):
            of_images = moments(self._adaptation.version, group.log_counts, b, c, images, scale, weight).numpy()
            log_sum, mean_b, mean_c, bb, bc, cc = of_images.T
            of_group = (
                scale * b_at + weight * c_at - log_sum,
                b_at - mean_b,
                c_at - mean_c,
                bb - mean_b**2,
                bc - mean_b * mean_c,
                cc - mean_c**2,
            )
            sums += [float(terms.sum()) for terms in of_group]
        nats, slope_b, slope_c, bb, bc, cc = sums / self._count
        return nats, np.array([slope_b, slope_c]), -np.array([[bb, bc], [bc, cc]])


def _float64(x: Tensor) -> np.ndarray:
    return x.double().numpy()


def _newton_step(gradient: np.ndarray, hessian: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Return the step to the maximum of the quadratic approximation: (2,), 0 for the numbers that do not move."""
    step = np.zeros(2)
    if moving.any():
        # a uniform readout or centre bias has no curvature and nothing to be fitted: least squares gives a step of 0
        step[moving] = np.linalg.lstsq(-hessian[np.ix_(moving, moving)], gradient[moving], rcond=1e-10)[0]
    return step


def _matrices(grid: Grid, sigma_px: float) -> tuple[Tensor, Tensor]:
    """Return the matrices that resize and blur along rows and along columns."""
    gauss = Gauss(sigma_px)
    return gauss.matrix(grid.rows), gauss.matrix(grid.columns)


def _readouts(model: DeepGaze3, split: Split, group: SizeGroup, batch: int = 16) -> Tensor:
    """Return the readout of each image at its cells, on the CPU: (n, rows, columns)."""
    numbers, readouts = group.numbers.tolist(), []
    for start in range(0, len(numbers), batch):
        images = split.batch(numbers[start : start + batch])
        readouts.append(model.readout(images.features, images.grid, split.precision).cpu())
    grid = split.store.recipe.grid(group.size)
    return torch.cat(readouts).reshape(len(numbers), len(grid.rows.counts), len(grid.columns.counts))
