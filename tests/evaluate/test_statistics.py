import numpy as np
import pytest
import scipy.stats

from entreg.errors import UserError
from entreg.evaluate.statistics import (
    average_over_seeds,
    holm,
    mean_ci,
    paired_difference,
    spread_over_seeds,
)


def names(n):
    return [f"i{k}.jpg" for k in range(n)]


SKEWED = {
    "exponential": (lambda rng, n: rng.exponential(1, n), 1.0),
    "gamma differences": (lambda rng, n: rng.gamma(0.7, 1, n) - rng.gamma(3, 0.2, n), 0.7 - 0.6),
    "lognormal": (lambda rng, n: rng.lognormal(0, 0.7, n), np.exp(0.7**2 / 2)),
}


@pytest.mark.parametrize("draw, mean", SKEWED.values(), ids=SKEWED.keys())
@pytest.mark.parametrize("n, least", [(101, 93), (50, 91)])
def test_the_interval_covers_the_true_mean(draw, mean, n, least):
    rng = np.random.default_rng(0)
    inside, draws = 0, 2000  # which tell the coverage to half a per cent
    for seed in range(draws):
        low, high = mean_ci(draw(rng, n), names(n), resamples=500, seed=seed).ci95
        inside += low <= mean <= high
    assert least <= 100 * inside / draws <= 97


def test_difference_of_equal_arms_is_nothing():
    values = np.arange(20.0)
    result = paired_difference(values, values, names(20), names(20), 200, 0)
    assert (result.mean, result.std, result.ci95, result.p_wilcoxon) == (0, 0, (0, 0), 1)


def test_difference_is_paired_by_name_and_signed():
    rng = np.random.default_rng(0)
    b = rng.normal(0, 5, 40)
    a = b + rng.gamma(2, 0.1, 40)
    shuffled = rng.permutation(40)
    result = paired_difference(a[shuffled], b, np.array(names(40))[shuffled].tolist(), names(40), 500, 0)
    low, high = result.ci95
    assert result.mean == pytest.approx((a - b).mean()) and result.std == pytest.approx(np.std(a - b, ddof=1))
    assert 0 < low < result.mean < high < 0.5  # unpaired, a spread of 5 would hide it
    assert result.p_wilcoxon == pytest.approx(scipy.stats.wilcoxon(a, b).pvalue)
    assert result.n_images == 40


def test_zero_differences_are_left_out_of_wilcoxon():
    difference = np.append([0.0, 0.0, 0.0], np.linspace(-0.4, 1.7, 20))
    result = paired_difference(difference, np.zeros(23), names(23), names(23), 200, 0)
    assert result.p_wilcoxon == pytest.approx(scipy.stats.wilcoxon(difference, zero_method="wilcox").pvalue)


def test_same_seed_same_interval():
    values = np.random.default_rng(0).gamma(1, 1, 30)
    first, again, other = (mean_ci(values, names(30), 300, seed).ci95 for seed in (0, 0, 1))
    assert first == again != other


def test_the_interval_leans_where_the_values_do():
    values = np.random.default_rng(0).lognormal(0, 1, 60)
    low, high = mean_ci(values, names(60), 2000, 0).ci95
    assert high - values.mean() > 1.2 * (values.mean() - low)


def test_other_images_are_an_error_that_lists_them():
    with pytest.raises(UserError, match=r"only the first has   i0.jpg\n.*only the second has  i3.jpg"):
        paired_difference(np.zeros(3), np.zeros(3), names(4)[:3], names(4)[1:], 200, 0)


def test_nan_is_an_error_that_names_the_image():
    values = np.ones(12)
    values[7] = np.nan
    with pytest.raises(UserError, match="i7.jpg"):
        mean_ci(values, names(12), 200, 0)
    with pytest.raises(UserError, match="i7.jpg"):
        paired_difference(np.ones(12), average_over_seeds([values, np.ones(12)]), names(12), names(12), 200, 0)


def test_images_without_or_with_the_same_name_are_errors():
    with pytest.raises(UserError, match="3 values for 2 images"):
        mean_ci(np.zeros(3), names(2), 200, 0)
    with pytest.raises(UserError, match="twice.*i1.jpg"):
        mean_ci(np.zeros(3), ["i0.jpg", "i1.jpg", "i1.jpg"], 200, 0)


def test_one_image_has_no_interval():
    result = paired_difference(np.array([1.5]), np.array([1.0]), ["i"], ["i"], 200, 0)
    assert (result.mean, result.std, result.ci95, result.n_images) == (0.5, None, None, 1)


def test_few_images_have_students_interval():
    values = np.array([0.1, 0.4, 0.2, 0.9])
    result = mean_ci(values, names(4), 200, 0)
    expected = scipy.stats.t.interval(0.95, 3, values.mean(), scipy.stats.sem(values))
    assert result.ci95 == pytest.approx(expected) and result.interval == "student-t"


def test_resamples_without_spread_leave_a_finite_interval():
    values = np.append(np.zeros(19), 1.0)  # a third of the resamples hold only zeros
    assert np.isfinite(mean_ci(values, names(20), 500, 0).ci95).all()


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, made monotone .04 .06 .06 .06
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([0.2]) == [0.2] and holm([]) == []


def test_seeds_are_averaged_image_by_image():
    values = [[1.0, 2.0, 6.0], [3.0, 2.0, 1.0]]
    np.testing.assert_array_equal(average_over_seeds(values), [2, 2, 3.5])
    assert spread_over_seeds(values) == pytest.approx(np.std([3, 2], ddof=1))
    assert spread_over_seeds(values[:1]) is None
