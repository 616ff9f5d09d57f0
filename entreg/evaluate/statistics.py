"""How sure a mean over images is. Intervals and p values speak of images, not of the noise of training."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
import scipy.stats

from entreg.errors import UserError

BOOTSTRAP_FROM = 10  # images; below, too many resamples repeat one image and have no spread to be divided by
CHUNK = 2**20  # resampled values held at once


@dataclass(frozen=True)
class MeanOverImages:
    """mean; std over images (ddof 1); ci95, the 95 % interval of the mean. One image has neither: None.

    interval: how ci95 was found, "bootstrap-t" or, below 10 images, "student-t"
    """

    mean: float
    std: float | None
    ci95: tuple[float, float] | None
    n_images: int
    interval: str | None


@dataclass(frozen=True)
class PairedDifference(MeanOverImages):
    """The same of the differences image by image; p_wilcoxon: of the two-sided signed-rank test, 1 if all are 0."""

    p_wilcoxon: float


def mean_ci(values: np.ndarray, names: Sequence[str], resamples: int, seed: int) -> MeanOverImages:
    """Mean of (n_images,) values with its 95 % interval. UserError if a value isn't finite or a name occurs twice."""
    values = _checked(values, names)
    n = len(values)
    mean = float(values.mean())
    if n == 1:
        return MeanOverImages(mean, None, None, n, None)
    std = float(values.std(ddof=1))
    if n < BOOTSTRAP_FROM:
        half = scipy.stats.t.ppf(0.975, n - 1) * std / n**0.5
        return MeanOverImages(mean, std, (mean - half, mean + half), n, "student-t")
    return MeanOverImages(mean, std, _bootstrap_t(values, resamples, seed), n, "bootstrap-t")


def paired_difference(
    a: np.ndarray, b: np.ndarray, names_a: Sequence[str], names_b: Sequence[str], resamples: int, seed: int
) -> PairedDifference:
    """a minus b, image by image: (n_images,) each, paired by name in whatever order. UserError if the images differ.

    p: Wilcoxon's signed-rank test, zero differences left out as he did (Wilcoxon 1945).
    """
    a, b = _checked(a, names_a), _checked(b, names_b)
    only_a, only_b = sorted(set(names_a) - set(names_b)), sorted(set(names_b) - set(names_a))
    if only_a or only_b:
        raise UserError(
            "Two arms were evaluated on different images and can't be compared image by image.\n"
            f"  only the first has   {_some(only_a)}\n"
            f"  only the second has  {_some(only_b)}\n"
            "  evaluate both on the same data set, with the same data.* and ood.* settings"
        )
    row = {name: index for index, name in enumerate(names_b)}
    difference = a - b[[row[name] for name in names_a]]
    p = float(scipy.stats.wilcoxon(difference).pvalue) if difference.any() else 1.0
    return PairedDifference(**vars(mean_ci(difference, names_a, resamples, seed)), p_wilcoxon=p)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values of m comparisons, corrected for their number: the k-th smallest times m-k+1, at most 1, monotone.

    They hold the chance of any false finding among the m at the level. Source: Holm 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted.tolist()


def average_over_seeds(values: np.ndarray) -> np.ndarray:
    """(n_seeds, n_images) to (n_images,): what is compared between arms. A value that isn't finite remains so."""
    return np.asarray(values, dtype=np.float64).mean(0)


def spread_over_seeds(values: np.ndarray) -> float | None:
    """Standard deviation (ddof 1) over seeds of the mean over images, from (n_seeds, n_images); None for one seed."""
    means = np.asarray(values, dtype=np.float64).mean(1)
    return float(means.std(ddof=1)) if len(means) > 1 else None


def _bootstrap_t(values: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean by the studentised bootstrap (Efron & Tibshirani 1993, chapter 12).

    A resample's t is its deviation from the mean in its own standard errors; the interval takes the quantiles of t in
    place of Student's. With skewed values it covers the true mean more often than percentile or BCa intervals, which
    fall short of 95 % (tests/evaluate/test_statistics.py). Resamples without spread have no t and are left out.
    """
    n = len(values)
    mean, error = values.mean(), values.std(ddof=1) / n**0.5
    if error == 0:
        return float(mean), float(mean)
    rng = np.random.default_rng(seed)
    t = []
    for start in range(0, resamples, max(1, CHUNK // n)):
        rows = min(resamples - start, max(1, CHUNK // n))
        drawn = values[rng.integers(0, n, (rows, n))]
        errors = drawn.std(1, ddof=1) / n**0.5
        spread = errors > 0
        t.append((drawn.mean(1) - mean)[spread] / errors[spread])
    low, high = np.quantile(np.concatenate(t), [0.025, 0.975])
    return float(mean - high * error), float(mean - low * error)


def _checked(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(n_images,) float64, one finite value for each name."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) != len(names) or len(values) == 0:
        raise UserError(f"{len(values)} values for {len(names)} images: a mean needs one for each, and at least one.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise UserError(f"Images occur twice under one name: {_some(twice)}")
    bad = [name for name, value in zip(names, values) if not np.isfinite(value)]
    if bad:
        raise UserError(f"Not a finite number on {len(bad)} of {len(names)} images: {_some(bad)}")
    return values


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"
