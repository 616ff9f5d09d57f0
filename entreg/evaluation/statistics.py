"""The uncertainty of a mean over images and over seeds, that is, over the trainings that could have been run instead.

A study is crossed: every seed's model is evaluated on every image. In the model d(seed, image) = mean + image + seed +
rest with both effects random, the mean square over images and the mean square over seeds each contain the rest once, so
the variance of the mean is (MS_images + MS_seeds - MS_rest) / (n_images n_seeds). It is estimated from few seeds, so
intervals are Student's t with Satterthwaite's degrees of freedom (Searle, Casella & McCulloch 1992, *Variance
Components*, sections 4.4 and 5.2).

Arrays are (..., n_seeds, n_images): the leading axes are separate studies, which the tests' simulations use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
import scipy.stats

LEVEL = 0.05
TRIED_SEEDS = 1000  # numbers of seeds up to which each is tried; beyond, the interval only narrows


@dataclass(frozen=True)
class Term:
    """The share of one mean square in the variance of a mean: its estimate (...,) and its degrees of freedom."""

    variance: np.ndarray
    df: float


@dataclass(frozen=True)
class Uncertainty:
    """The uncertainty of a mean; each field is (...,).

    mean: the estimate; variance, df: the variance of the mean and Satterthwaite's degrees of freedom
    images_variance, seeds_variance: the contributions of images and seeds, where the rest counts with the seeds. They
        add up to the variance unless the images' contribution would be below 0.
    """

    mean: np.ndarray
    variance: np.ndarray
    df: np.ndarray
    images_variance: np.ndarray
    seeds_variance: np.ndarray

    @property
    def half_width(self) -> np.ndarray:
        """Half the width of the 95 % interval."""
        return np.asarray(scipy.stats.t.ppf(1 - LEVEL / 2, self.df) * np.sqrt(self.variance))

    @property
    def ci95(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the 95 % interval."""
        return self.mean - self.half_width, self.mean + self.half_width

    def ci95_within(self, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the 95 % interval of a mean that lies between two bounds: they do so as well.

        It is the interval of the logit of the mean's place between them, by the delta method; between -1 and 1 that is
        twice Fisher's (1915) z. A mean at a bound has no width, since all values lie there then.
        """
        place = (self.mean - low) / (high - low)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = self.half_width / (high - low) / (place * (1 - place))
            ends = (low + (high - low) * scipy.special.expit(scipy.special.logit(place) + s * reach) for s in (-1, 1))
            first, last = (np.where((place > 0) & (place < 1), end, self.mean) for end in ends)
        return first, last

    @property
    def p(self) -> np.ndarray:
        """The p value of the two-sided test that the mean is 0.

        Without any variance it is 1 where the mean is 0, else 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.mean) / np.sqrt(self.variance)
        return np.where(self.variance > 0, 2 * scipy.stats.t.sf(t, self.df), np.where(self.mean == 0, 1.0, 0.0))


def crossed(sets: Sequence[np.ndarray]) -> Uncertainty:
    """Return the uncertainty of the mean over K data sets of their mean values.

    The data sets are fixed; images and seeds are random. A seed is the same model on every set, so the seeds contribute
    the variance over seeds of a seed's average over the sets. With one set this is the two-way formula at the top.

    sets: for each data set (..., n_seeds, n_images), with the same seeds in all
    """
    return _combined(*_paired(sets))


def crossed_unpaired(ours: Sequence[np.ndarray], base: Sequence[np.ndarray]) -> Uncertainty:
    """Return the uncertainty of the mean difference between two arms whose seeds are independent of each other.

    The variance is that of the seed-averaged differences over images, which contains the rest of both arms, plus for
    each arm the contribution of its seeds without the rest.

    ours, base: the sets of each arm, see `crossed`
    """
    return _combined(*_unpaired(ours, base))


def crossed_in_folds(
    ours: Sequence[np.ndarray], base: Sequence[np.ndarray] | None = None, paired: bool = True
) -> Uncertainty:
    """Return the uncertainty of the mean over all images of a cross-validation.

    Each image is scored with models that did not learn from it.

    A fold has models of its own, so seeds are nested in folds and their contributions add up. Folds are weighted by
    their numbers of images.

    ours: for each fold (..., n_seeds, n_images); base: the same of another arm, which is subtracted
    """
    total = sum(values.shape[-1] for values in ours)
    mean: Any = 0.0
    parts: tuple[list[Term], ...] = ([], [], [])
    for number, values in enumerate(ours):
        sets = [values] if base is None or not paired else [values - base[number]]
        share = values.shape[-1] / total
        fold_mean, *fold_parts = _paired(sets) if base is None or paired else _unpaired(sets, [base[number]])
        mean = mean + share * fold_mean
        for part, terms in zip(parts, fold_parts, strict=True):
            part += [Term(term.variance * share**2, term.df) for term in terms]
    return _combined(np.asarray(mean), *parts)


def on_a_new_set(means: np.ndarray, base: np.ndarray | None = None, paired: bool = True) -> Uncertainty:
    """Return the uncertainty of the mean over sets where sets are random, as seeds are: what holds on one not yet seen.

    Sets are few. Satterthwaite's degrees of freedom, which are estimated as well, are then too many: with three sets
    and eight seeds, 6 % of pairs that do not differ were called. So each part of the variance has the Student's factor
    of its own degrees of freedom; `df` are those that give the same interval. The rest counts with the sets.

    means: (..., n_seeds, n_sets), of each seed's model on each set; base: the same of another arm, which is subtracted
    """
    sets = [means] if base is None or not paired else [means - base]
    mean, over_sets, seeds, rest = _paired(sets) if base is None or paired else _unpaired(sets, [base])
    own = [
        Term(np.maximum(of_arm.variance - left.variance, 0), of_arm.df)
        for of_arm, left in zip(seeds, rest, strict=False)  # a single seed leaves no rest, and has no part
    ]
    parts = [*over_sets, *own]
    variance = sum((part.variance for part in parts), np.zeros_like(mean))
    squares = sum(
        (part.variance * scipy.stats.t.ppf(1 - LEVEL / 2, part.df) ** 2 for part in parts), np.zeros_like(mean)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        df = scipy.special.stdtridf(1 - LEVEL / 2, np.sqrt(squares / variance))
    sets_part, seeds_part = (sum((part.variance for part in some), np.zeros_like(mean)) for some in (over_sets, own))
    return Uncertainty(mean, variance, np.where(variance > 0, df, over_sets[0].df), sets_part, seeds_part)


def over_images(values: np.ndarray) -> Uncertainty:
    """Return the uncertainty of the mean over images of (..., n_images) values, where nothing else is random."""
    n = values.shape[-1]
    return _combined(values.mean(-1), [Term(values.var(-1, ddof=1) / n, n - 1)], [], [])


def over_seeds(ours: np.ndarray, base: np.ndarray | None = None, paired: bool = False) -> Uncertainty:
    """Return the uncertainty of the mean over seeds of (n_seeds,) values, or of its difference to another arm's.

    The difference is Welch's (1947), or paired.
    """
    if base is None or paired:
        values = ours if base is None else ours - base
        return _combined(np.asarray(values.mean(-1)), [], [_over_seeds(values)], [])
    return _combined(np.asarray(ours.mean(-1) - base.mean(-1)), [], [_over_seeds(ours), _over_seeds(base)], [])


def seeds_to_halve(
    now: Uncertainty, seeds: int, images: int, folds: int = 1, of_random_sets: bool = False
) -> int | None:
    """Return how many seeds would halve the interval, all else being as estimated; None where no number would.

    The images' contribution stays as it is, that of the seeds falls with their number. Whether any number would do
    depends on the interval that remains with ever more seeds.

    seeds: how many each arm has now; images: how many are evaluated, in all sets together; folds: how many have models
        of their own; of_random_sets: whether the images are whole sets, see `on_a_new_set`
    """
    a, s = float(now.images_variance), float(now.seeds_variance) * seeds
    if a + s == 0:
        return seeds + 1
    half, images_df = float(now.half_width) / 2, max(images - 1, 1)

    def is_enough(n: Any) -> Any:
        if of_random_sets:
            factors = (scipy.stats.t.ppf(1 - LEVEL / 2, df) for df in (images_df, n - 1))
            return sum(factor**2 * part for factor, part in zip(factors, (a, s / n), strict=True)) <= half**2
        variance = a + s / n
        df = variance**2 / (a**2 / images_df + (s / n) ** 2 / (folds * (n - 1)))
        return scipy.stats.t.ppf(1 - LEVEL / 2, df) * variance**0.5 <= half

    n = np.arange(seeds + 1, max(TRIED_SEEDS, seeds + 1) + 1)
    enough = is_enough(n)
    if enough.any():
        return int(n[enough.argmax()])
    if scipy.stats.t.ppf(1 - LEVEL / 2, images_df) * a**0.5 >= half:
        return None
    high = int(n[-1])
    while not is_enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values of m comparisons, corrected for their number (Holm 1979).

    The k-th smallest is multiplied by m-k+1; the results are at most 1 and monotone. The chance of any false finding
    among the m comparisons is then at most the level.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return [float(value) for value in adjusted]


def _paired(sets: Sequence[np.ndarray]) -> tuple[np.ndarray, list[Term], list[Term], list[Term]]:
    """Return the mean and its terms over images, over seeds and of the rest; see `crossed`."""
    averages = np.asarray(sum(values.mean(-1) for values in sets) / len(sets))
    images, rest = _images_and_rest(sets)
    return averages.mean(-1), images, [_over_seeds(averages)], rest


def _unpaired(
    ours: Sequence[np.ndarray], base: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[Term], list[Term], list[Term]]:
    """Return the same for the difference between two arms; see `crossed_unpaired`."""
    share = len(ours) ** 2
    differences = [a.mean(-2) - b.mean(-2) for a, b in zip(ours, base, strict=True)]
    mean = np.asarray(sum(d.mean(-1) for d in differences) / len(differences))
    images = [Term(d.var(-1, ddof=1) / d.shape[-1] / share, d.shape[-1] - 1) for d in differences]
    seeds, rest = [], []
    for arm in (ours, base):
        seeds.append(_over_seeds(sum(values.mean(-1) for values in arm) / len(arm)))
        rest += _images_and_rest(arm)[1]
    return mean, images, seeds, rest


def _images_and_rest(sets: Sequence[np.ndarray]) -> tuple[list[Term], list[Term]]:
    """Return for each set MS_images and MS_rest, divided by n_images n_seeds K^2; a single seed leaves no rest."""
    images, rest = [], []
    for values in sets:
        seeds, count = values.shape[-2:]
        share = count * len(sets) ** 2
        by_image = values.mean(-2)
        images.append(Term(by_image.var(-1, ddof=1) / share, count - 1))
        if seeds > 1:
            effects = by_image[..., None, :] + values.mean(-1)[..., None] - values.mean((-2, -1))[..., None, None]
            df = (seeds - 1) * (count - 1)
            rest.append(Term(((values - effects) ** 2).sum((-2, -1)) / df / (share * seeds), df))
    return images, rest


def _over_seeds(averages: Any) -> Term:
    """Return the variance of the mean of (..., n_seeds) averages."""
    n = averages.shape[-1]
    return Term(averages.var(-1, ddof=1) / n if n > 1 else np.zeros(averages.shape[:-1]), n - 1)


def _combined(mean: np.ndarray, images: list[Term], seeds: list[Term], rest: list[Term]) -> Uncertainty:
    """Return the uncertainty from its terms; the terms of images and of seeds each contain the rest once.

    The variance is at least the images' and at least the seeds' term; where it would be less, the greater term counts.
    """
    parts = [sum((term.variance for term in terms), np.zeros_like(mean)) for terms in (images, seeds, rest)]
    over_image, over_seed, left = parts
    choices = np.stack([over_image + over_seed - left, over_image, over_seed])
    chosen = choices.argmax(0)
    variance = np.take_along_axis(choices, chosen[None], 0)[0]
    dfs = np.stack(
        [
            _satterthwaite(terms, choice)
            for terms, choice in zip(([*images, *seeds, *rest], images, seeds), choices, strict=True)
        ]
    )
    df = np.take_along_axis(dfs, chosen[None], 0)[0]
    return Uncertainty(mean, variance, df, np.maximum(over_image - left, 0), over_seed)


def _satterthwaite(terms: list[Term], total: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of a sum or difference of mean squares (Satterthwaite 1946); at least 1."""
    spread = sum((term.variance**2 / term.df for term in terms if term.df > 0), np.zeros_like(total))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(np.where(spread > 0, total**2 / spread, np.inf), 1.0)
