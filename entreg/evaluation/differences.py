"""The differences of arms to their baselines, their uncertainty, and the verdicts that these allow."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from entreg.evaluation.arms import Arm
from entreg.evaluation.metrics import METRICS, Metric
from entreg.evaluation.scores import Rows
from entreg.evaluation.statistics import (
    LEVEL,
    Uncertainty,
    crossed,
    crossed_in_folds,
    crossed_unpaired,
    holm,
    on_a_new_set,
    over_seeds,
    seeds_to_halve,
)
from entreg.results.schema import (
    BETTER,
    FIXED,
    NO_VERDICT,
    ONE_ORDER,
    ONE_TRAINING,
    PAIRED,
    UNDECIDED,
    UNPAIRED,
    WORSE,
    Difference,
    Estimate,
)

Key = TypeVar("Key", bound=Hashable)
Replicate = tuple[int, int]  # the seed and the order seed of a training


@dataclass(frozen=True)
class Entropy:
    """The increase of the bias map's entropy in nats and percent, with Student's interval over seeds (nats)."""

    increase_nats: float
    increase_percent: float
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Values:
    """The values of a metric for an arm's trainings.

    sets: for each data set, or for each fold of a cross-validation, (n_seeds, n_images)
    in_folds: whether the sets are folds, each scored by models of its own. In the mean over folds all images have the
        same weight, in the mean over data sets all sets.
    of_random_sets: whether each value is the mean of a whole set, and sets are random, see `on_a_new_set`
    """

    sets: list[np.ndarray]
    in_folds: bool = False
    of_random_sets: bool = False

    @property
    def images(self) -> int:
        """The number of images of all sets together."""
        return sum(values.shape[1] for values in self.sets)

    @property
    def mean(self) -> float:
        """The mean over seeds, images and sets."""
        means = [values.mean() for values in self.sets]
        return float(np.average(means, weights=[values.shape[1] for values in self.sets] if self.in_folds else None))

    @property
    def std(self) -> float | None:
        """The standard deviation over images of the values averaged over seeds; None for several sets, or one image."""
        if len(self.sets) > 1 and not self.in_folds:
            return None
        averaged = np.concatenate([values.mean(0) for values in self.sets])
        return float(averaged.std(ddof=1)) if len(averaged) > 1 else None

    @property
    def has_scatter(self) -> bool:
        """Whether each set has at least two images, since one image does not scatter."""
        return all(values.shape[1] > 1 for values in self.sets)

    def of(self, trainings: list[int]) -> Values:
        """Return the values of these trainings."""
        return dataclasses.replace(self, sets=[values[trainings] for values in self.sets])

    def averaged(self) -> Values:
        """Return the values averaged over the trainings, as those of a single training."""
        return dataclasses.replace(self, sets=[values.mean(0, keepdims=True) for values in self.sets])

    def minus(self, other: Values) -> Values:
        """Return the differences, training by training."""
        return dataclasses.replace(self, sets=[a - b for a, b in zip(self.sets, other.sets, strict=True)])

    def on_a_new_set(self) -> Values:
        """Return the values that say what holds on a set that was not judged: a mean for each set, which are random.

        Sets then take the place of images, so that their scatter, and that of the seeds' averages over them, count.
        """
        return Values([np.stack([values.mean(1) for values in self.sets], axis=1)], of_random_sets=True)

    def uncertainty(self) -> Uncertainty:
        """Return the uncertainty of the mean."""
        if self.of_random_sets:
            return on_a_new_set(self.sets[0])
        return crossed_in_folds(self.sets) if self.in_folds else crossed(self.sets)

    def uncertainty_of_unpaired(self, base: Values) -> Uncertainty:
        """Return the uncertainty of the mean difference to another arm's values, whose trainings are others."""
        if self.of_random_sets:
            return on_a_new_set(self.sets[0], base.sets[0], paired=False)
        if self.in_folds:
            return crossed_in_folds(self.sets, base.sets, paired=False)
        return crossed_unpaired(self.sets, base.sets)


@dataclass(frozen=True)
class Pairing:
    """Which trainings of an arm and its baseline are compared, and how.

    ours, base: the numbers of the trainings in their arms; kind: one of the constants of `results.schema`
    """

    ours: list[int]
    base: list[int]
    kind: str


def pairing_of(arm: Arm, baseline: Arm) -> Pairing:
    """Return how two arms are compared: by the seeds that both have, if these are at least two, else unpaired.

    A published model is not drawn from trainings, so only the baseline's seeds are random.
    """
    return paired(arm.replicates, baseline.replicates, arm.is_fixed)


def paired(ours: Sequence[Replicate], base: Sequence[Replicate], is_fixed: bool = False) -> Pairing:
    """Return how two groups of trainings are compared: by the seeds that both have, if at least two, else unpaired.

    A single training gets no verdict, nor do trainings that share a batch order.

    ours, base: the seed and the order seed of each training; is_fixed: whether ours is one published model
    """
    shared = [replicate for replicate in ours if replicate in base]
    if len(shared) >= 2:
        pairing = Pairing([ours.index(seeds) for seeds in shared], [base.index(seeds) for seeds in shared], PAIRED)
    else:
        pairing = Pairing(list(range(len(ours) or 1)), list(range(len(base))), FIXED if is_fixed else UNPAIRED)
        if len(base) < 2 or len(ours) < 2 and not is_fixed:
            return dataclasses.replace(pairing, kind=ONE_TRAINING)
    orders = [[] if is_fixed else [ours[i][1] for i in pairing.ours], [base[i][1] for i in pairing.base]]
    is_repeated = any(len(set(of_arm)) < len(of_arm) for of_arm in orders)
    return dataclasses.replace(pairing, kind=pairing.kind + ONE_ORDER) if is_repeated else pairing


def values_of(rows_by_seed: Sequence[Rows], key: str) -> np.ndarray:
    """Return the values of one metric: (n_seeds, n_images)."""
    return np.array([[row[key] for row in rows] for rows in rows_by_seed], dtype=np.float64)


def metrics_in(tables: Sequence[Sequence[Rows]]) -> list[Metric]:
    """Return the metrics that all tables have. tables: each holds the rows of every seed."""
    return [metric for metric in METRICS if all(metric.key in rows[0][0] for rows in tables)]


def estimate(values: Values, fixed: bool = False, bounds: tuple[float, float] | None = None) -> Estimate:
    """Return the estimate of an arm's mean.

    fixed: whether the arm is a published model, which is not drawn from trainings, so that only images are random
    bounds: between which the metric lies, if it has any; its interval lies there, too
    """
    seeds = len(values.sets[0])
    if seeds == 1 and not fixed or not values.has_scatter:
        return _without_interval(values, seeds, bounds)
    return _estimate(values.uncertainty(), values, seeds, bounds)


def difference(ours: Values, base: Values, pairing: Pairing, better: str | None) -> Difference:
    """Return the estimate of ours minus base on the same images.

    The p value and the verdict are not corrected for the number of arms, see `corrected`.

    better: which direction is better, see `Metric`
    """
    a, b = ours.of(pairing.ours), base.of(pairing.base)
    seeds = len(pairing.base) if pairing.kind == FIXED else min(len(pairing.ours), len(pairing.base))
    means = a.averaged().minus(b.averaged())
    if pairing.kind == ONE_TRAINING or not a.has_scatter:
        return Difference(
            **vars(_without_interval(means, seeds)),
            seeds=pairing.kind,
            seeds_to_halve=None,
            p_holm=None,
            verdict=NO_VERDICT,
            exploratory=True,
        )
    is_paired = pairing.kind.startswith(PAIRED)
    uncertainty = a.minus(b).uncertainty() if is_paired else a.uncertainty_of_unpaired(b)
    estimated = _estimate(uncertainty, means, seeds)
    halved = seeds_to_halve(uncertainty, seeds, a.images, len(a.sets) if a.in_folds else 1, a.of_random_sets)
    assert estimated.p is not None
    return Difference(
        **vars(estimated),
        seeds=pairing.kind,
        seeds_to_halve=halved,
        p_holm=estimated.p,
        verdict=verdict(estimated, estimated.p, better, pairing.kind),
        exploratory=True,
    )


def entropy_increase(ours: np.ndarray, base: np.ndarray, pairing: Pairing) -> Entropy:
    """Return the increase from base to ours. ours, base: the bias entropy of each training, nats."""
    a, b = ours[pairing.ours], base[pairing.base]
    nats = float(a.mean() - b.mean())
    interval = None
    if pairing.kind != ONE_TRAINING:
        interval = _ends(over_seeds(a, b, paired=pairing.kind.startswith(PAIRED)))
    return Entropy(nats, nats / float(b.mean()) * 100, interval)


def verdict(estimated: Estimate, p_holm: float, better: str | None, kind: str) -> str:
    """Return whether an arm is better or worse: only where the interval excludes 0 and the corrected p is below LEVEL.

    kind: how the trainings are compared, see `Pairing`
    """
    if estimated.ci95 is None or kind.endswith(ONE_ORDER):
        return NO_VERDICT
    low, high = estimated.ci95
    if p_holm >= LEVEL or low <= 0 <= high:
        return UNDECIDED
    return BETTER if (low > 0) == (better != "lower") else WORSE


def corrected(cells: Mapping[Key, Difference], metric: Metric, primary: Key | None) -> dict[Key, Difference]:
    """Return several comparisons with Holm's correction for their number, and with their verdicts.

    cells: by arm, or by whatever else tells them apart
    primary: the key of the comparison that was named beforehand, which is tested on its own
    """
    tested = [key for key, cell in cells.items() if cell.p is not None and key != primary]
    p_holm = dict(zip(tested, holm([cells[key].p or 0.0 for key in tested]), strict=True))
    if primary is not None and primary in cells:
        p_holm[primary] = cells[primary].p or 0.0
    return {
        key: cell
        if cell.p is None
        else dataclasses.replace(
            cell,
            p_holm=p_holm[key],
            verdict=verdict(cell, p_holm[key], metric.better, cell.seeds),
            exploratory=key != primary,
        )
        for key, cell in cells.items()
    }


def _without_interval(values: Values, seeds: int, bounds: tuple[float, float] | None = None) -> Estimate:
    """Return an estimate without an interval over seeds, since there is a single training, or a single image."""
    interval = _ends(values.averaged().uncertainty(), bounds) if values.has_scatter else None
    return Estimate(values.mean, values.std, None, None, None, None, None, values.images, seeds, interval)


def _estimate(
    uncertainty: Uncertainty, values: Values, seeds: int, bounds: tuple[float, float] | None = None
) -> Estimate:
    return Estimate(
        float(uncertainty.mean),
        values.std,
        _ends(uncertainty, bounds),
        float(uncertainty.p),
        float(uncertainty.df),
        float(uncertainty.images_variance) ** 0.5,
        float(uncertainty.seeds_variance) ** 0.5,
        values.images,
        seeds,
        None,
    )


def _ends(uncertainty: Uncertainty, bounds: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return the ends of the 95 % interval, which lie within the bounds of what is bounded."""
    low, high = uncertainty.ci95 if bounds is None else uncertainty.ci95_within(*bounds)
    return float(low), float(high)
