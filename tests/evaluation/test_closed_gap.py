"""The share of a gap that the adaptation closes: a ratio, whose gap may be 0."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from entreg.evaluation.closed_gap import share_closed
from entreg.evaluation.matrix_rows import RowScores
from entreg.results.schema import BETTER, NO_VERDICT, ONE_ORDER, PAIRED

IMAGES = [f"i{n}" for n in range(40)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def table(values: np.ndarray, first_seed: int = 0) -> RowScores:
    return RowScores([(first_seed + seed, first_seed + seed) for seed in range(len(values))], IMAGES, values)


def drawn(rng, seeds: int = 4, gap: float = 1.0, share: float = 0.4, of_seeds: float = 1.0) -> tuple[np.ndarray, ...]:
    """The scores of pooled models, of the same adapted, and of the ceiling: (seeds, images)."""
    image = rng.standard_normal((1, len(IMAGES)))

    def noise() -> np.ndarray:
        of_image, of_seed = rng.standard_normal((1, len(IMAGES))), rng.standard_normal((seeds, 1))
        return 0.1 * (2 * of_image + of_seeds * of_seed + rng.standard_normal((seeds, len(IMAGES))))

    pooled = image + noise()
    return pooled, pooled + share * gap + noise(), image + gap + noise()


def shared(*values: np.ndarray, unpaired: bool = False):
    pooled, adapted, ceiling = (table(one, 50 if unpaired and i == 2 else 0) for i, one in enumerate(values))
    return share_closed(pooled, adapted, ceiling, IMAGES)


def test_without_scatter_over_trainings_it_is_fiellers_interval_over_images(rng):
    """Fieller 1954: the ends solve (m - r g)^2 = t^2 (v_mm - 2 r v_mg + r^2 v_gg) / n with 39 degrees of freedom."""
    pooled = rng.standard_normal((1, 40))
    brought, gap = 0.4 + 0.3 * rng.standard_normal((1, 40)), 1 + 0.5 * rng.standard_normal((1, 40))
    found = shared(*(np.repeat(one, 3, axis=0) for one in (pooled, pooled + brought, pooled + gap)))
    (v_mm, v_mg), (_, v_gg) = np.cov(brought[0], gap[0]) / 40
    t, m, g = scipy.stats.t.ppf(0.975, 39), brought.mean(), gap.mean()
    ends = np.sort(np.roots([g**2 - t**2 * v_gg, -2 * (m * g - t**2 * v_mg), m**2 - t**2 * v_mm]))
    assert found.share == pytest.approx(m / g) and found.why is None
    assert found.ci95 == pytest.approx(ends, rel=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.3, 1 / 3, 0.7, 1.0])
def test_a_share_that_is_the_same_everywhere_has_no_width(rng, share):
    pooled, gap = rng.standard_normal((4, 40)), 1 + 0.3 * rng.standard_normal((4, 40))
    found = shared(pooled, pooled + share * gap, pooled + gap)
    assert [found.share, *found.ci95] == pytest.approx([share] * 3, abs=1e-9)


def test_of_a_gap_that_may_be_0_there_is_no_share(rng):
    found = shared(*drawn(rng, gap=0.02, share=5.0))
    assert (found.share, found.ci95, found.why) == (None, None, "the gap may be 0") and found.gap.ci95[0] < 0


def test_where_pooled_models_are_above_the_ceiling_there_is_no_share(rng):
    found = shared(*drawn(rng, gap=-1.0))
    assert (found.share, found.ci95, found.why) == (None, None, "the gap may be 0")


def test_one_training_has_no_interval(rng):
    found = shared(*drawn(rng, seeds=1))
    assert (found.share, found.ci95, found.why) == (None, None, "one training cannot tell the gap from 0")


def test_trainings_of_one_batch_order_have_a_share_and_say_so(rng):
    """As every difference does: the interval stays, but the gap has no verdict."""
    values = drawn(rng)
    pooled, adapted, ceiling = (RowScores([(seed, 7) for seed in range(4)], IMAGES, of_side) for of_side in values)
    found, usual = share_closed(pooled, adapted, ceiling, IMAGES), shared(*values)
    assert (found.gap.seeds, found.gap.verdict) == (PAIRED + ONE_ORDER, NO_VERDICT) and usual.gap.verdict == BETTER
    assert (found.share, found.ci95) == (usual.share, usual.ci95)


@pytest.mark.parametrize("unpaired", [False, True])
def test_the_interval_holds_the_true_share(unpaired):
    """Of 400 simulated studies 95 % within four standard errors, whether ceiling and pooled models share seeds."""
    rng = np.random.default_rng(3)
    found = [shared(*drawn(rng), unpaired=unpaired).ci95 for _ in range(400)]
    assert np.mean([low <= 0.4 <= high for low, high in found]) == pytest.approx(0.95, abs=0.045)


@pytest.mark.slow
def test_a_bootstrap_of_images_and_trainings_holds_the_true_share_less_often(capsys):
    """Prints what docs/verdict.md reports: by seeds and their scatter, how often each holds it."""
    rng, found = np.random.default_rng(0), {}
    for seeds in (2, 3, 4, 8):
        for of_seeds in (0.3, 1.0, 3.0):
            each = [drawn(rng, seeds=seeds, of_seeds=of_seeds) for _ in range(1000)]
            known = [ends for values in each if (ends := shared(*values).ci95) is not None]
            drawn_anew = [bootstrapped(rng, *values) for values in each]
            held = [100 * np.mean([low <= 0.4 <= high for low, high in some]) for some in (known, drawn_anew)]
            found[seeds, of_seeds] = held
            with capsys.disabled():
                print(f"{seeds} seeds, scatter {of_seeds}: {held[0]:.1f} % of {len(known)}, bootstrap {held[1]:.1f} %")
    assert all(93 <= found[seeds, of_seeds][0] <= 97 for seeds in (4, 8) for of_seeds in (0.3, 1.0, 3.0))
    assert all(ours > other for ours, other in found.values())


def bootstrapped(rng: np.random.Generator, *values: np.ndarray) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the share over 400 draws of trainings and images with replacement."""
    pooled, adapted, ceiling = values
    seeds, images = pooled.shape
    shares = []
    for _ in range(400):
        place = np.ix_(rng.integers(0, seeds, seeds), rng.integers(0, images, images))
        shares.append((adapted - pooled)[place].mean() / (ceiling - pooled)[place].mean())
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)
