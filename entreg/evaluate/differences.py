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
    crossed_unpaired,
    holm,
    over_seeds,
    seeds_to_halve,
)

BETTER, WORSE, UNDECIDED, NO_VERDICT = "better", "worse", "no clear difference", "no verdict"
PAIRED, UNPAIRED, ONE_TRAINING = "paired by seed", "unpaired seeds", "one training"
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

    seeds: paired by seed, unpaired seeds (either of them also with ONE_ORDER), or one training
    n_seeds: of the arm with fewer
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
class Pairing:
    """Which trainings of an arm and its baseline are compared, and how.

    ours, base: numbers of the trainings in their arms
    """

    ours: list[int]
    base: list[int]
    kind: str


def pairing_of(arm: Arm, baseline: Arm) -> Pairing:
    """Seeds that both have are compared pairwise, if there are two at least; else all trainings, unpaired.

    An arm with one training gets no verdict, nor one whose trainings share a batch order.
    """
    ours, base = arm.replicates, baseline.replicates
    shared = [one for one in ours if one in base]
    if len(shared) >= 2:
        found = Pairing([ours.index(one) for one in shared], [base.index(one) for one in shared], PAIRED)
    else:
        found = Pairing(list(range(len(ours))), list(range(len(base))), UNPAIRED)
        if min(len(ours), len(base)) < 2:
            return dataclasses.replace(found, kind=ONE_TRAINING)
    orders = [[ours[i][1] for i in found.ours], [base[i][1] for i in found.base]]
    repeated = any(len(set(own)) < len(own) for own in orders)
    return dataclasses.replace(found, kind=found.kind + ONE_ORDER) if repeated else found


def values_of(rows_by_seed: Sequence[Rows], key: str) -> np.ndarray:
    """(n_seeds, n_images) of one metric."""
    return np.array([[row[key] for row in rows] for rows in rows_by_seed], dtype=np.float64)


def metrics_in(tables: Sequence[Sequence[Rows]]) -> list[Metric]:
    """The metrics that all tables have, each a list of seeds' rows."""
    return [metric for metric in METRICS if all(metric.key in rows[0][0] for rows in tables)]


def estimate(sets: Sequence[np.ndarray]) -> Estimate:
    """Of an arm's own mean over K data sets; sets: for each (n_seeds, n_images)."""
    seeds, images = len(sets[0]), sum(values.shape[1] for values in sets)
    if seeds == 1 or not _have_images(sets):
        return _without_interval(sets, images, seeds)
    return _estimate(crossed(sets), _std(sets), images, seeds)


def difference(
    ours: Sequence[np.ndarray], base: Sequence[np.ndarray], pairing: Pairing, better: str | None
) -> Difference:
    """Of ours minus base, mean over K data sets; each (n_seeds, n_images), the same images in both.

    better: which way is, see `Metric`. The p is not corrected yet.
    """
    a, b = [values[pairing.ours] for values in ours], [values[pairing.base] for values in base]
    images, seeds = sum(values.shape[1] for values in a), min(len(pairing.ours), len(pairing.base))
    means = [x.mean(0, keepdims=True) - y.mean(0, keepdims=True) for x, y in zip(a, b, strict=True)]
    if pairing.kind == ONE_TRAINING or not _have_images(a):
        found = _without_interval(means, images, seeds)
        return Difference(**vars(found), seeds=pairing.kind, seeds_to_halve=None, p_holm=None, verdict=NO_VERDICT,
                          exploratory=True)
    paired = pairing.kind.startswith(PAIRED)
    sure = crossed([x - y for x, y in zip(a, b, strict=True)]) if paired else crossed_unpaired(a, b)
    found = _estimate(sure, _std(means), images, seeds)
    halved = seeds_to_halve(sure, seeds, images)
    assert found.p is not None
    return Difference(**vars(found), seeds=pairing.kind, seeds_to_halve=halved, p_holm=found.p,
                      verdict=verdict(found, found.p, better, pairing.kind), exploratory=True)


def entropy_increase(ours: Sequence[float], base: Sequence[float], pairing: Pairing) -> Entropy:
    """ours, base: bias entropy of each training, nats."""
    a, b = np.array(ours)[pairing.ours], np.array(base)[pairing.base]
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
        arm: cell if cell.p is None else dataclasses.replace(
            cell, p_holm=p_holm[arm], verdict=verdict(cell, p_holm[arm], metric.better, cell.seeds),
            exploratory=arm != primary,
        )
        for arm, cell in cells.items()
    }


def _have_images(sets: Sequence[np.ndarray]) -> bool:
    """Whether there are two images at least in each set: one does not scatter."""
    return all(values.shape[1] > 1 for values in sets)


def _without_interval(sets: Sequence[np.ndarray], images: int, seeds: int) -> Estimate:
    mean = float(np.mean([values.mean() for values in sets]))
    averaged = [values.mean(0, keepdims=True) for values in sets]
    interval = _ends(crossed(averaged).ci95) if _have_images(sets) else None
    return Estimate(mean, _std(sets), None, None, None, None, None, images, seeds, interval)


def _std(sets: Sequence[np.ndarray]) -> float | None:
    return float(sets[0].mean(0).std(ddof=1)) if len(sets) == 1 and sets[0].shape[1] > 1 else None


def _estimate(sure: Uncertainty, std: float | None, images: int, seeds: int) -> Estimate:
    return Estimate(
        float(sure.mean), std, _ends(sure.ci95), float(sure.p), float(sure.df), float(sure.images_variance) ** 0.5,
        float(sure.seeds_variance) ** 0.5, images, seeds, None,
    )


def _ends(interval: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    return float(interval[0]), float(interval[1])
