"""Arms against their baselines: how much they differ, how sure that is, and what it allows to say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from entreg.evaluate.arms import Arm
from entreg.evaluate.metrics import METRICS, Metric
from entreg.evaluate.scores import Rows
from entreg.evaluate.statistics import (
    LEVEL,
    Uncertainty,
    crossed,
    crossed_in_folds,
    crossed_unpaired,
    holm,
    over_seeds,
    seeds_to_halve,
)

BETTER, WORSE, UNDECIDED, NO_VERDICT = "better", "worse", "no clear difference", "no verdict"
PAIRED, UNPAIRED, ONE_TRAINING = "paired by seed", "unpaired seeds", "one training"
FIXED = "a fixed model against seeds"
# where runs of an arm were trained on batches in one order, how much the order moves a result is not known
ONE_ORDER = ", one batch order"


@dataclass(frozen=True)
class Estimate:
    """A mean with its uncertainty over images and seeds.

    std: over images, of the values averaged over trainings (ddof 1); None for one image and for the mean of several
        sets
    ci95, p, df: of the two-way analysis; None where there is only one training
    images_part, seeds_part: standard errors; their squares add up to the variance of the mean, unless one of them was
        not estimated above 0
    ci95_over_images: where there is only one training, how the mean would move with other images, the models being
        these
    """

    mean: float
    std: float | None
    ci95: tuple[float, float] | None
    p: float | None
    df: float | None
    images_part: float | None
    seeds_part: float | None
    n_images: int
    n_seeds: int
    ci95_over_images: tuple[float, float] | None


@dataclass(frozen=True)
class Difference(Estimate):
    """A metric's difference to the baseline.

    seeds: paired by seed, unpaired seeds, a fixed model against seeds (each also with ONE_ORDER), or one training
    n_seeds: of the arm with fewer; of a fixed model those of its baseline
    seeds_to_halve: how many would halve the interval; None where no number would, or where there is no interval
    p_holm: p corrected for the number of arms; verdict: better, worse, no clear difference, or none
    exploratory: whether it is another comparison than the one that was named before anything was run
    """

    seeds: str
    seeds_to_halve: int | None
    p_holm: float | None
    verdict: str
    exploratory: bool


@dataclass(frozen=True)
class Entropy:
    """The increase of the bias map's entropy, nats and percent, with Student's interval over seeds (nats)."""

    increase_nats: float
    increase_percent: float
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Values:
    """A metric of an arm's trainings.

    sets: for each data set, or for each fold of a cross-validation, (n_seeds, n_images)
    in_folds: whether they are folds, each judged by models of its own, so that all images count alike; the mean over
        data sets gives each set the same weight
    """

    sets: list[np.ndarray]
    in_folds: bool = False

    @property
    def images(self) -> int:
        """Of all sets together."""
        return sum(values.shape[1] for values in self.sets)

    @property
    def mean(self) -> float:
        """Over seeds, images and sets."""
        means = [values.mean() for values in self.sets]
        return float(np.average(means, weights=[v.shape[1] for v in self.sets] if self.in_folds else None))

    @property
    def std(self) -> float | None:
        """Over the images of one data set, of the values averaged over seeds."""
        if len(self.sets) > 1 and not self.in_folds:
            return None
        averaged = np.concatenate([values.mean(0) for values in self.sets])
        return float(averaged.std(ddof=1)) if len(averaged) > 1 else None

    @property
    def scatter(self) -> bool:
        """Whether there are two images at least in each set: one does not scatter."""
        return all(values.shape[1] > 1 for values in self.sets)

    def of(self, trainings: list[int]) -> Values:
        """Some of the trainings only."""
        return Values([values[trainings] for values in self.sets], self.in_folds)

    def averaged(self) -> Values:
        """Over the trainings, as those of one."""
        return Values([values.mean(0, keepdims=True) for values in self.sets], self.in_folds)

    def minus(self, other: Values) -> Values:
        """The differences, training by training."""
        return Values([a - b for a, b in zip(self.sets, other.sets, strict=True)], self.in_folds)

    def uncertainty(self) -> Uncertainty:
        """Of the mean."""
        return crossed_in_folds(self.sets) if self.in_folds else crossed(self.sets)


@dataclass(frozen=True)
class Pairing:
    """Which trainings of an arm and its baseline are compared, and how.

    ours, base: numbers of the trainings in their arms
    """

    ours: list[int]
    base: list[int]
    kind: str


def pairing_of(arm: Arm, baseline: Arm) -> Pairing:
    """Seeds that both have are compared pairwise, if there are two at least; else all trainings, unpaired.

    An arm with one training gets no verdict, nor one whose trainings share a batch order. A published model is no draw
    from trainings: only the baseline's seeds are random.
    """
    ours, base = arm.replicates, baseline.replicates
    shared = [one for one in ours if one in base]
    if len(shared) >= 2:
        found = Pairing([ours.index(one) for one in shared], [base.index(one) for one in shared], PAIRED)
    else:
        found = Pairing(list(range(len(ours) or 1)), list(range(len(base))), FIXED if arm.is_fixed else UNPAIRED)
        if len(base) < 2 or len(ours) < 2 and not arm.is_fixed:
            return dataclasses.replace(found, kind=ONE_TRAINING)
    orders = [[] if arm.is_fixed else [ours[i][1] for i in found.ours], [base[i][1] for i in found.base]]
    repeated = any(len(set(own)) < len(own) for own in orders)
    return dataclasses.replace(found, kind=found.kind + ONE_ORDER) if repeated else found


def values_of(rows_by_seed: Sequence[Rows], key: str) -> np.ndarray:
    """(n_seeds, n_images) of one metric."""
    return np.array([[row[key] for row in rows] for rows in rows_by_seed], dtype=np.float64)


def metrics_in(tables: Sequence[Sequence[Rows]]) -> list[Metric]:
    """The metrics that all tables have, each a list of seeds' rows."""
    return [metric for metric in METRICS if all(metric.key in rows[0][0] for rows in tables)]


def estimate(values: Values, fixed: bool = False) -> Estimate:
    """Of an arm's own mean.

    fixed: the one model is no draw from trainings, so that images alone are random
    """
    seeds = len(values.sets[0])
    if seeds == 1 and not fixed or not values.scatter:
        return _without_interval(values, seeds)
    return _estimate(values.uncertainty(), values, seeds)


def difference(ours: Values, base: Values, pairing: Pairing, better: str | None) -> Difference:
    """Of ours minus base, the same images in both.

    better: which way is, see `Metric`. The p is not corrected yet.
    """
    a, b = ours.of(pairing.ours), base.of(pairing.base)
    seeds = len(pairing.base) if pairing.kind == FIXED else min(len(pairing.ours), len(pairing.base))
    means = a.averaged().minus(b.averaged())
    if pairing.kind == ONE_TRAINING or not a.scatter:
        found = _without_interval(means, seeds)
        return Difference(
            **vars(found), seeds=pairing.kind, seeds_to_halve=None, p_holm=None, verdict=NO_VERDICT, exploratory=True
        )
    if pairing.kind.startswith(PAIRED):
        sure = a.minus(b).uncertainty()
    else:
        sure = crossed_in_folds(a.sets, b.sets, paired=False) if a.in_folds else crossed_unpaired(a.sets, b.sets)
    found = _estimate(sure, means, seeds)
    halved = seeds_to_halve(sure, seeds, a.images, len(a.sets) if a.in_folds else 1)
    assert found.p is not None
    return Difference(
        **vars(found),
        seeds=pairing.kind,
        seeds_to_halve=halved,
        p_holm=found.p,
        verdict=verdict(found, found.p, better, pairing.kind),
        exploratory=True,
    )


def entropy_increase(ours: np.ndarray, base: np.ndarray, pairing: Pairing) -> Entropy:
    """ours, base: bias entropy of each training, nats."""
    a, b = ours[pairing.ours], base[pairing.base]
    nats = float(a.mean() - b.mean())
    interval = None
    if pairing.kind != ONE_TRAINING:
        interval = _ends(over_seeds(a, b, paired=pairing.kind.startswith(PAIRED)).ci95)
    return Entropy(nats, nats / float(b.mean()) * 100, interval)


def verdict(found: Estimate, p_holm: float, better: str | None, kind: str) -> str:
    """What a difference allows to say: better or worse where the interval excludes 0 and the corrected p is small.

    kind: how the trainings are compared
    """
    if found.ci95 is None or kind.endswith(ONE_ORDER):
        return NO_VERDICT
    low, high = found.ci95
    if p_holm >= LEVEL or low <= 0 <= high:
        return UNDECIDED
    return BETTER if (low > 0) == (better != "lower") else WORSE


def corrected(cells: Mapping[str, Difference], metric: Metric, primary: str | None) -> dict[str, Difference]:
    """The same comparison of several arms, with Holm's correction for their number and with verdicts.

    primary: the arm whose comparison was named beforehand; it is tested alone
    """
    tested = [arm for arm, cell in cells.items() if cell.p is not None and arm != primary]
    p_holm = dict(zip(tested, holm([cells[arm].p or 0.0 for arm in tested]), strict=True))
    if primary is not None and primary in cells:
        p_holm[primary] = cells[primary].p or 0.0
    return {
        arm: cell
        if cell.p is None
        else dataclasses.replace(
            cell,
            p_holm=p_holm[arm],
            verdict=verdict(cell, p_holm[arm], metric.better, cell.seeds),
            exploratory=arm != primary,
        )
        for arm, cell in cells.items()
    }


def _without_interval(values: Values, seeds: int) -> Estimate:
    interval = _ends(values.averaged().uncertainty().ci95) if values.scatter else None
    return Estimate(values.mean, values.std, None, None, None, None, None, values.images, seeds, interval)


def _estimate(sure: Uncertainty, values: Values, seeds: int) -> Estimate:
    return Estimate(
        float(sure.mean),
        values.std,
        _ends(sure.ci95),
        float(sure.p),
        float(sure.df),
        float(sure.images_variance) ** 0.5,
        float(sure.seeds_variance) ** 0.5,
        values.images,
        seeds,
        None,
    )


def _ends(interval: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    return float(interval[0]), float(interval[1])
