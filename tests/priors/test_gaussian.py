"""The Gaussian centre prior against its formula (Clarke & Tatler 2014), as pysaliency has it."""

import math

import numpy as np
import pytest

from entreg.priors.gaussian import centres, gaussian_log_prior


def renormalised(log_p):
    return log_p - np.log(np.exp(log_p).sum())


def test_centres_are_half_a_pixel_from_the_border():
    assert centres(4).tolist() == [0.125, 0.375, 0.625, 0.875]


@pytest.mark.parametrize("variance, nu", [(0.22, 0.45), (0.1, 1.0), (3.0, 0.2)])
def test_it_is_the_formula_at_each_pixel(variance, nu):
    """Its x is -1 to 1, its y -a to a with a = height / width; here 6 x 8 pixels, each a quarter of the half-width."""
    p = np.empty((6, 8))
    for row in range(6):
        for column in range(8):
            x, y = (column - 3.5) / 4, (row - 2.5) / 4
            p[row, column] = math.exp(-(x**2) / (2 * variance) - y**2 / (2 * nu * variance))
    np.testing.assert_allclose(gaussian_log_prior(6, 8, 6, 8, variance, nu), np.log(p / p.sum()), atol=1e-12)


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (7, 5), (1, 1)], ids=str)
@pytest.mark.parametrize("seen", [(1.0, 1.0), (0.8, 1.0), (1.0, 0.3)], ids=str)
def test_it_sums_to_1_over_the_pixels(size, seen):
    log_p = gaussian_log_prior(*size, 600, 1000, 0.22, 0.45, seen)
    assert log_p.shape == size
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("height, width", [(300, 400), (400, 300)])
def test_the_variance_is_that_of_x_and_nu_times_as_large_that_of_y(height, width):
    """In units of the half-width; so small that nothing lies beyond the borders."""
    p = np.exp(gaussian_log_prior(height, width, height, width, 0.02, 0.45))
    x, y = ((np.arange(n) - (n - 1) / 2) / (width / 2) for n in (width, height))
    assert (p.sum(0) * x**2).sum() == pytest.approx(0.02, rel=1e-3)
    assert (p.sum(1) * y**2).sum() == pytest.approx(0.45 * 0.02, rel=1e-3)


def test_a_stretched_images_prior_is_stretched_with_it():
    """To a third of the rows and a fifth of the columns: new centres are those of rows 1, 4, 7 and columns 2, 7, 12."""
    whole = gaussian_log_prior(36, 100, 36, 100, 0.22, 0.45)
    stretched = gaussian_log_prior(12, 20, 36, 100, 0.22, 0.45)
    np.testing.assert_allclose(stretched, renormalised(whole[1::3, 2::5]), atol=1e-12)
    # built at the new aspect it would be another one
    assert np.abs(stretched - gaussian_log_prior(12, 20, 12, 20, 0.22, 0.45)).max() > 0.1


def test_a_crops_prior_is_the_crop_of_the_whole():
    whole = gaussian_log_prior(60, 100, 60, 100, 0.22, 0.45)
    columns = gaussian_log_prior(60, 80, 60, 100, 0.22, 0.45, seen=(1.0, 0.8))
    np.testing.assert_allclose(columns, renormalised(whole[:, 10:90]), atol=1e-12)
    rows = gaussian_log_prior(30, 100, 60, 100, 0.22, 0.45, seen=(0.5, 1.0))
    np.testing.assert_allclose(rows, renormalised(whole[15:45]), atol=1e-12)
