"""What the judged images are held against: priors and fixations of the whole data set, not of the images judged."""

import numpy as np
import pytest

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.evaluation.domain import CHUNK, blurred_density, rescaled_pixels
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.priors.kde import FixationKde
from tests.conftest import SMALL


@pytest.mark.parametrize("role, which, all_images, judged", [("data", "validation", 20, 2), ("ood", "all", 6, 3)])
def test_the_kde_prior_is_of_all_images_but_the_one_judged(composed, store, caplog, role, which, all_images, judged):
    config = resolved(composed(*SMALL, "data.limit=8", "ood.synthetic_ood.sample=3", f"paths.store={store}"))
    settings = config.data if role == "data" else config.ood["synthetic_ood"]
    domain = EvaluationCache(Ranks()).domain(settings, which, config.prior)
    subset = domain.subset
    resized, fixations = subset.resized, subset.resized.fixations
    assert len(subset) == judged and len(resized) == all_images == domain.kde_images
    assert f"built from only {all_images} images (fewer than 200)" in caplog.text
    sides = np.array(resized.sizes)[fixations.image]
    for i, item in enumerate(subset.items):
        others, (height, width) = fixations.image != item, subset.sizes[i]
        kde = FixationKde(
            fixations.y[others] / sides[others, 0],
            fixations.x[others] / sides[others, 1],
            fixations.image[others],
            config.prior.kde_bandwidth,
            config.prior.kde_regularisation,
        )
        y, x = (axis.numpy() for axis in subset.fixations[i])
        np.testing.assert_allclose(domain.log_kde[i], kde.log_density(height, width)[y, x], atol=1e-5)
        truth = domain.truth(i)
        assert truth.other_y.tolist() == rescaled_pixels(fixations.y[others], sides[others, 0], height).tolist()
        assert truth.other_x.tolist() == rescaled_pixels(fixations.x[others], sides[others, 1], width).tolist()
        assert truth.other_y.max() < height and truth.other_x.max() < width
        assert np.array_equal(truth.y, y) and np.array_equal(truth.log_kde, domain.log_kde[i])
    for i, own in domain.own_center_biases(4):
        others = fixations.image != subset.items[i]
        kde = FixationKde(
            fixations.y[others] / sides[others, 0],
            fixations.x[others] / sides[others, 1],
            fixations.image[others],
            config.prior.kde_bandwidth,
            config.prior.kde_regularisation,
        )
        np.testing.assert_allclose(own, kde.log_density(*subset.sizes[i])[::4, ::4], atol=1e-5)
    size = subset.sizes[0]
    assert np.array_equal(domain.kde_map(size), domain.kde.log_density(*size)) and domain.kde_map(size).shape == size
    assert domain.kde_map(size) is domain.kde_map(size)  # of millions of fixations it takes minutes


def test_runs_with_the_same_settings_share_a_domain(composed, store):
    domains = EvaluationCache(Ranks())
    one, same = (resolved(composed(*SMALL, f"paths.store={store}", f"seed={seed}")) for seed in (0, 1))
    other = resolved(composed(*SMALL, f"paths.store={store}", "prior.gaussian_nu=0.5"))
    first, second, third = (domains.domain(config.data, "validation", config.prior) for config in (one, same, other))
    assert first is second and third is not first and third.subset is first.subset


def test_scaled_fixations_stay_inside():
    position = np.array([0.0, 0.999, np.nextafter(300.0, 0)])
    np.testing.assert_array_equal(rescaled_pixels(position, 300, 600), [0, 1, 599])
    np.testing.assert_array_equal(rescaled_pixels(position, 300, 100), [0, 0, 99])
    last = np.nextafter(59.0, 0)
    assert np.floor(last * (768 / 59)) == 768  # rounding alone would put it below the image
    assert rescaled_pixels(last, 59, 768) == 767


def test_one_fixation_becomes_a_gaussian():
    p = blurred_density(np.array([40]), np.array([60]), 96, 128, sigma_px=5.0)
    assert p.shape == (96, 128)
    assert p.sum() == pytest.approx(1)
    rows, columns = np.arange(96) - 40, np.arange(128) - 60
    assert p.sum(1) @ rows == pytest.approx(0, abs=1e-9)
    assert p.sum(1) @ rows**2 == pytest.approx(25, rel=0.01)  # the variance, less what lies beyond 4 sigma
    assert p.sum(0) @ columns**2 == pytest.approx(25, rel=0.01)
    assert p[40, 65] / p[40, 60] == pytest.approx(np.exp(-0.5))


def test_two_fixations_on_a_pixel_count_twice():
    p = blurred_density(np.array([10, 10, 10]), np.array([20, 20, 100]), 96, 128, sigma_px=2.0)
    assert p[10, 20] / p[10, 100] == pytest.approx(2)


def test_however_many_fixations_there_are_each_counts():
    rng = np.random.default_rng(0)
    y, x = rng.integers(0, 24, 2 * CHUNK + 1), rng.integers(0, 32, 2 * CHUNK + 1)
    count = np.zeros((24, 32))
    np.add.at(count, (y, x), 1)
    expected = sum(
        n
        * blurred_density(np.array([row]), np.array([column]), 24, 32, 3.0)
        * mass(row, 24, 3.0)
        * mass(column, 32, 3.0)
        for (row, column), n in np.ndenumerate(count)
    )
    np.testing.assert_allclose(blurred_density(y, x, 24, 32, 3.0), expected / expected.sum(), rtol=1e-12)


def mass(at: int, size: int, sigma: float) -> float:
    """What of a Gaussian's values at whole distances lies inside a side."""
    return float(np.exp(-0.5 * ((np.arange(size) - at) / sigma) ** 2).sum())


def test_nothing_is_reflected_at_the_border():
    p = blurred_density(np.array([0]), np.array([0]), 96, 128, sigma_px=4.0)
    assert p[0, 4] / p[0, 0] == pytest.approx(np.exp(-0.5))
    assert p.sum() == pytest.approx(1)


def test_no_fixation_or_one_outside_is_an_error():
    none = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="at least one fixation"):
        blurred_density(none, none, 96, 128, sigma_px=4.0)
    with pytest.raises(ValueError):
        blurred_density(np.array([96]), np.array([0]), 96, 128, sigma_px=4.0)
