"""A trained model adapted to a foreign set by at most three numbers, everything else as trained.

After Kuemmerer et al. 2025 (arXiv 2505.10169), whose models have such numbers for each data set:

    centre_bias   the set's own centre bias in place of the training set's, and its weight
    scale         a factor on the readout, below 1 where the model is overconfident
    spread        the blur's sigma

The numbers are fitted by maximum likelihood on some images and judged on others. For a given blur the log likelihood of
an image, mean over fixations of s B + w C minus the logsumexp of s B + w C over its pixels, is concave in the scale s
and the weight w (B: blurred readout, C: centre bias), so Newton's method with a check of each step finds its one
maximum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import torch
from torch import Tensor

from entreg.evaluate.target import SizeGroup, Target
from entreg.features.grid import Grid
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.finalizer import Gauss
from entreg.numerics import BITS_PER_NAT
from entreg.study.part import Part

ADAPTED = ("centre_bias", "scale", "spread")
SUBSETS = tuple(chain.from_iterable(combinations(ADAPTED, k) for k in range(len(ADAPTED) + 1)))
NO_BLUR_PX = 0.05  # of the map: the kernel is 1 at its middle
LEAST_BLUR_PX = 0.3  # less cannot be told from none: beside its middle the kernel is below 0.004
COARSE, FINEST = 0.5, 1 / 16  # steps of the search for a blur, octaves
ENOUGH_NATS = 1e-8  # a step that can gain no more ends Newton's method
MOST_STEPS = 50

Subset = tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """Numbers fitted for one fold: a factor on the readout, the centre bias's weight, the blur (map pixels)."""

    scale: float
    weight: float
    sigma_px: float


@dataclass(frozen=True)
class Adapted:
    """What a model is worth on a foreign set after each adaptation.

    ig_bits: by adapted numbers, (n_images,) information gain over the Gaussian prior, each image judged by a fit to
        others
    fits: by adapted numbers, one for each fold; trained: the model's own numbers
    narrowest_px, widest_px: ends of the search for a blur, no blur at all and half the shorter side
    """

    ig_bits: dict[Subset, np.ndarray]
    fits: dict[Subset, list[Fit]]
    trained: Fit
    narrowest_px: float
    widest_px: float


@torch.no_grad()
def adapt(model: DeepGaze3, part: Part, target: Target) -> Adapted:
    """All subsets of the numbers, fitted on all folds but one and judged on that one."""
    return _Adaptation(model, part, target).run()


class _Adaptation:
    def __init__(self, model: DeepGaze3, part: Part, target: Target) -> None:
        finalizer = model.finalizer
        self.trained = Fit(1.0, float(finalizer.center_bias_weight), abs(float(finalizer.gauss.sigma)))
        self.target = target
        self.readouts = [_readouts(model, part, group) for group in target.groups]
        self.grids = [part.store.recipe.grid(group.size) for group in target.groups]
        self.given = [torch.stack([part.center_biases[i] for i in group.numbers]) for group in target.groups]
        self.given_fitted = [
            given[:, group.rows[:, None], group.columns].flatten(1)
            for given, group in zip(self.given, target.groups, strict=True)
        ]
        self.given_at = [group.at(given) for given, group in zip(self.given, target.groups, strict=True)]
        self.longest_px = min(min(len(g.row_counts), len(g.column_counts)) for g in target.groups) / 2
        self._blurred: dict[float, list[tuple[Tensor, Tensor]]] = {}

    def run(self) -> Adapted:
        ig_bits, fits = {}, {}
        for subset in SUBSETS:
            if not subset:
                fits[subset] = [self.trained] * self.target.n_folds
            else:
                fits[subset] = [self._fitted(subset, fold) for fold in range(self.target.n_folds)]
            ig_bits[subset] = self._judged(subset, fits[subset])
        return Adapted(ig_bits, fits, self.trained, NO_BLUR_PX, self.longest_px)

    def _fitted(self, subset: Subset, fold: int) -> Fit:
        """The likeliest numbers on all images but the fold's."""
        free = ("scale" in subset, "centre_bias" in subset)
        problem = _Problem(self, fold, own="centre_bias" in subset, free=free)
        best = problem.maximum(self.trained.sigma_px, (self.trained.scale, self.trained.weight))
        if "spread" not in subset:
            return best.fit
        tried = {0.0: best}  # by octaves from the trained blur

        def at(octaves: float) -> _Maximum:
            octaves = self._within(octaves)
            if octaves not in tried:
                near = min(tried, key=lambda o: abs(o - octaves))
                start = tried[near].fit
                tried[octaves] = problem.maximum(self._sigma(octaves), (start.scale, start.weight))
            return tried[octaves]

        here, step = 0.0, COARSE
        while step >= FINEST:
            # ties stay with what is nearer to the trained blur
            ahead = max((here, here - step, here + step), key=lambda o: (at(o).nats, -abs(self._within(o))))
            ahead = self._within(ahead)
            if ahead == here:
                step /= 2
            else:
                here = ahead
        return at(here).fit

    def _within(self, octaves: float) -> float:
        """Octaves from the trained blur, not beyond no blur at all or half the shorter side."""
        least, most = (math.log2(px / self.trained.sigma_px) for px in (LEAST_BLUR_PX, self.longest_px))
        return -math.inf if octaves < least else min(octaves, max(most, 0.0))

    def _sigma(self, octaves: float) -> float:
        px = self.trained.sigma_px * 2**octaves
        return self.longest_px if math.isclose(px, self.longest_px) else max(NO_BLUR_PX, px)

    def blurred(self, sigma_px: float) -> list[tuple[Tensor, Tensor]]:
        """For each size the blurred readouts at the pixels that a fit sums over, (n, M), and at the fixations, (n,)."""
        if sigma_px not in self._blurred:
            pairs = []
            for group, grid, readouts in zip(self.target.groups, self.grids, self.readouts, strict=True):
                rows, columns = _matrices(grid, sigma_px)
                fitted = rows[group.rows] @ readouts @ columns[group.columns].T
                by_row = torch.bmm(rows[group.fixation_rows], readouts)
                at = ((by_row * columns[group.fixation_columns]).sum(2) * group.weights).sum(1)
                pairs.append((fitted.flatten(1), at))
            self._blurred[sigma_px] = pairs
        return self._blurred[sigma_px]

    def _judged(self, subset: Subset, fits: Sequence[Fit]) -> np.ndarray:
        """(n_images,) IG in bits, each image with the numbers of the fold that it is in; exact, over all pixels."""
        ig_bits = np.empty(self.target.n_images)
        for k, (group, grid, readouts) in enumerate(zip(self.target.groups, self.grids, self.readouts, strict=True)):
            center_biases = group.own if "centre_bias" in subset else self.given[k]
            log_counts = (group.row_counts[:, None] * group.column_counts).double().log()
            at = torch.empty(len(group.numbers), dtype=torch.float64)
            for fold in np.unique(group.fold):
                mine = torch.from_numpy(np.flatnonzero(group.fold == fold))
                fit = fits[fold]
                rows, columns = _matrices(grid, fit.sigma_px)
                z = fit.scale * (rows @ readouts[mine] @ columns.T) + fit.weight * center_biases[mine]
                log_sum = (z.double() + log_counts).flatten(1).logsumexp(1)
                image = torch.arange(len(mine))[:, None]
                reached = z[image, group.fixation_rows[mine], group.fixation_columns[mine]] * group.weights[mine]
                at[mine] = reached.double().sum(1) - log_sum
            ig_bits[group.numbers] = ((at - group.log_prior) * BITS_PER_NAT).numpy()
        return ig_bits


@dataclass(frozen=True)
class _Maximum:
    fit: Fit
    nats: float


class _Problem:
    """The log likelihood of all images but one fold's, mean over images, in scale and weight."""

    def __init__(self, adaptation: _Adaptation, fold: int, own: bool, free: tuple[bool, bool]) -> None:
        self._adaptation, self.free = adaptation, free
        groups = adaptation.target.groups
        self._used = [torch.from_numpy(np.flatnonzero(group.fold != fold)) for group in groups]
        self._count = sum(len(used) for used in self._used)
        self._center_biases = [
            (group.own_fitted[fold][used], group.own_at[fold][used])
            if own
            else (adaptation.given_fitted[k][used], adaptation.given_at[k][used])
            for k, (group, used) in enumerate(zip(groups, self._used, strict=True))
        ]

    def maximum(self, sigma_px: float, start: tuple[float, float]) -> _Maximum:
        """Newton's method from `start` over the free numbers, neither below 0."""
        blurred = [
            (fitted[used], at[used])
            for (fitted, at), used in zip(self._adaptation.blurred(sigma_px), self._used, strict=True)
        ]
        theta = np.array(start, dtype=np.float64)
        nats, gradient, hessian = self._at(blurred, theta)
        for _ in range(MOST_STEPS):
            # a number at 0 that would fall further stays there
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
                there = np.maximum(theta + length * step, 0)
                found = self._at(blurred, there)
                if found[0] >= nats or length < 1e-6:
                    break
                length /= 2
            if found[0] < nats:
                break
            theta, (nats, gradient, hessian) = there, found
        return _Maximum(Fit(float(theta[0]), float(theta[1]), sigma_px), nats)

    def _at(self, blurred: list[tuple[Tensor, Tensor]], theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Mean log likelihood (nats), its gradient (2,) and Hessian (2, 2)."""
        scale, weight = theta.tolist()
        sums = np.zeros(6)
        groups = self._adaptation.target.groups
        for (b, b_at), (c, c_at), group in zip(blurred, self._center_biases, groups, strict=True):
            z = torch.add(group.log_counts, b, alpha=scale).add_(c, alpha=weight)
            log_sum = z.logsumexp(1, keepdim=True)
            p = z.sub_(log_sum).exp_()
            pb, pc = p * b, p * c
            mean_b, mean_c = pb.sum(1), pc.sum(1)
            nats = (scale * b_at + weight * c_at - log_sum[:, 0]).double().sum()
            sums += [
                float(nats),
                float((b_at - mean_b).double().sum()),
                float((c_at - mean_c).double().sum()),
                float((torch.linalg.vecdot(pb, b) - mean_b.square()).double().sum()),
                float((torch.linalg.vecdot(pb, c) - mean_b * mean_c).double().sum()),
                float((torch.linalg.vecdot(pc, c) - mean_c.square()).double().sum()),
            ]
        nats, slope_b, slope_c, bb, bc, cc = sums / self._count
        return nats, np.array([slope_b, slope_c]), -np.array([[bb, bc], [bc, cc]])


def _newton_step(gradient: np.ndarray, hessian: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """(2,): where the quadratic approximation has its maximum along the moving numbers; 0 for the others."""
    step = np.zeros(2)
    if moving.any():
        # a readout or centre bias that is uniform has no curvature, and nothing to be fitted
        step[moving] = np.linalg.lstsq(-hessian[np.ix_(moving, moving)], gradient[moving], rcond=1e-10)[0]
    return step


def _matrices(grid: Grid, sigma_px: float) -> tuple[Tensor, Tensor]:
    """Resize and blur along rows and along columns."""
    gauss = Gauss(sigma_px)
    return gauss.matrix(grid.rows), gauss.matrix(grid.columns)


def _readouts(model: DeepGaze3, part: Part, group: SizeGroup, batch: int = 16) -> Tensor:
    """(n, rows, columns): the readout of each image at its cells, on the CPU."""
    numbers, readouts = group.numbers.tolist(), []
    for start in range(0, len(numbers), batch):
        members = part.batch(numbers[start : start + batch])
        readouts.append(model.readout(members.features, members.grid, part.precision).cpu())
    grid = part.store.recipe.grid(group.size)
    return torch.cat(readouts).reshape(len(numbers), len(grid.rows.counts), len(grid.columns.counts))
