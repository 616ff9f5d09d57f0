from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from entreg.data.geometry import Geometry
from entreg.priors.gaussian import gaussian_log_prior
from entreg.priors.kde import FixationKde

HEIGHT, WIDTH = 37, 50


@pytest.fixture
def fixations():
    """y, x, image of 60 fixations on 11 images, unsorted, some images with few."""
    rng = np.random.default_rng(0)
    image = np.append(rng.integers(0, 11, 49), np.arange(11))
    return rng.beta(3, 3, 60), rng.beta(3, 3, 60), image


def kde_of(fixations, keep=slice(None), bandwidth=0.08, regularisation=1e-6):
    y, x, image = (values[keep] for values in fixations)
    return FixationKde(y, x, image, bandwidth, regularisation)


def explicit(y, x, height, width, bandwidth, regularisation):
    """The docstring's formula, fixation by fixation on the full map, by scipy's normal density."""
    rows, columns = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    kde = np.zeros((height, width))
    for in_y, in_x in zip(y, x, strict=True):
        kde += np.outer(scipy.stats.norm.pdf(rows, in_y, bandwidth), scipy.stats.norm.pdf(columns, in_x, bandwidth))
    return np.log((1 - regularisation) * kde / kde.sum() + regularisation / (height * width))


def test_map_is_the_explicit_sum(fixations):
    expected = explicit(*fixations[:2], HEIGHT, WIDTH, 0.08, 1e-6)
    log_density = kde_of(fixations).log_density(HEIGHT, WIDTH)
    assert log_density.dtype == np.float32
    np.testing.assert_allclose(log_density, expected, atol=2e-6)


def test_log_density_sums_to_one_however_much_falls_outside():
    kde = FixationKde(np.array([0.0, 0.99]), np.array([0.0, 0.5]), np.array([0, 1]), 0.3, 1e-3)
    assert np.exp(kde.log_density(HEIGHT, WIDTH).astype(np.float64)).sum() == pytest.approx(1, abs=1e-6)


def test_fixations_that_are_sorted_by_image_or_not_give_the_same(fixations):
    order = np.argsort(fixations[2], kind="stable")
    unsorted, in_order = kde_of(fixations), kde_of(fixations, order)
    assert all(np.array_equal(*pair) for pair in zip(unsorted.fixations, in_order.fixations, strict=True))
    assert np.array_equal(in_order.fixations[2], np.sort(fixations[2]))
    assert np.array_equal(in_order.log_density(HEIGHT, WIDTH), unsorted.log_density(HEIGHT, WIDTH))


def test_leaving_out_is_refitting(fixations):
    for image in (0, 4, 10):
        refitted = kde_of(fixations, fixations[2] != image).log_density(HEIGHT, WIDTH)
        np.testing.assert_array_equal(kde_of(fixations).log_density(HEIGHT, WIDTH, leave_out=image), refitted)


@pytest.mark.parametrize("images", [range(11), [7, 2, 3], [5], [3, 99]])
def test_leave_one_out_over_a_set_is_one_by_one(fixations, images):
    kde = kde_of(fixations)  # image 99 has no fixations, so nothing to leave out
    maps = list(kde.leave_one_out(images, HEIGHT, WIDTH, step=4))
    assert len(maps) == len(images)
    for image, log_density in zip(images, maps, strict=True):
        np.testing.assert_allclose(log_density, kde.log_density(HEIGHT, WIDTH, 4, leave_out=image), atol=2e-6)


@pytest.mark.parametrize("size", [(37, 50), (36, 48), (3, 5)])
def test_steps_take_the_pixels_that_torch_takes(fixations, size):
    full = kde_of(fixations).log_density(*size)
    taken = torch.nn.functional.interpolate(torch.tensor(full)[None, None], scale_factor=1 / 3, mode="nearest")[0, 0]
    np.testing.assert_array_equal(kde_of(fixations).log_density(*size, step=3), taken.numpy())


def test_at_pixels_is_the_map_without_the_own_image(fixations):
    rng = np.random.default_rng(1)
    y, x, image = rng.integers(0, HEIGHT, 40), rng.integers(0, WIDTH, 40), rng.integers(0, 12, 40)
    log_density = kde_of(fixations).log_density_at(y, x, image, HEIGHT, WIDTH)
    maps = [kde_of(fixations).log_density(HEIGHT, WIDTH, leave_out=own) for own in range(12)]
    expected = np.stack(maps)[image, y, x]
    np.testing.assert_allclose(log_density, expected, atol=2e-6)


def test_tiny_values_survive_a_heavy_image_left_out():
    # 500 fixations of image 0 in a corner, one of image 1 in the other: a difference of totals would be noise
    y = np.append(np.full(500, 0.1), 0.9)
    image = np.append(np.zeros(500, int), 1)
    kde = FixationKde(y, y, image, 0.05, 1e-20)
    alone = FixationKde(y[500:], y[500:], image[500:], 0.05, 1e-20).log_density(40, 40)
    assert alone[4, 4] < -45  # far below what is left of 500 - 500 in float64
    np.testing.assert_allclose(next(kde.leave_one_out([0, 1], 40, 40)), alone, atol=1e-5)
    at = kde.log_density_at(np.array([4]), np.array([4]), np.array([0]), 40, 40)
    np.testing.assert_allclose(at, alone[4, 4], atol=1e-5)


def test_without_fixations_it_is_uniform():
    uniform = -np.log(HEIGHT * WIDTH)
    nobody = FixationKde(np.zeros(0), np.zeros(0), np.zeros(0, int), 0.1, 1e-9)
    np.testing.assert_allclose(nobody.log_density(HEIGHT, WIDTH), uniform, atol=1e-5)
    one_image = FixationKde(np.array([0.2]), np.array([0.2]), np.array([3]), 0.1, 1e-9)
    np.testing.assert_allclose(one_image.log_density(HEIGHT, WIDTH, leave_out=3), uniform, atol=1e-5)
    at = one_image.log_density_at(np.array([1]), np.array([1]), np.array([3]), HEIGHT, WIDTH)
    assert at == pytest.approx(uniform)


def test_more_fixations_than_one_chunk_holds(monkeypatch, fixations):
    whole = kde_of(fixations).log_density(HEIGHT, WIDTH)
    monkeypatch.setattr("entreg.priors.kde.CHUNK", 2)
    np.testing.assert_allclose(kde_of(fixations).log_density(HEIGHT, WIDTH), whole, atol=2e-6)


def test_more_pixels_than_one_part_holds(monkeypatch, fixations):
    """Seven do not divide sixty; images of a part are several, and unsorted."""
    y, x, image = fixations
    at = (y * HEIGHT).astype(int), (x * WIDTH).astype(int), image
    whole = kde_of(fixations).log_density_at(*at, HEIGHT, WIDTH)
    monkeypatch.setattr("entreg.priors.parts.PART", 7)
    assert np.array_equal(kde_of(fixations).log_density_at(*at, HEIGHT, WIDTH), whole)


def test_gaussian_prior_is_its_formula():
    log_prior = gaussian_log_prior(HEIGHT, WIDTH, 600, 800, variance=0.22, nu=0.45)
    assert np.exp(log_prior).sum() == pytest.approx(1, abs=1e-12)
    # pixel (18, 49) lies at y 0, x 0.98; pixel (0, 25) at y -36/37 * 600/800, x 0.02
    assert log_prior[18, 24] - log_prior[18, 49] == pytest.approx((0.98**2 - 0.02**2) / (2 * 0.22))
    assert log_prior[18, 25] - log_prior[0, 25] == pytest.approx((36 / 37 * 0.75) ** 2 / (2 * 0.45 * 0.22))


def test_gaussian_prior_keeps_the_stored_aspect():
    stretched = gaussian_log_prior(30, 40, 1080, 1920, 0.22, 0.45)
    assert np.abs(stretched - gaussian_log_prior(30, 40, 30, 40, 0.22, 0.45)).max() > 0.1


def test_a_cropped_images_prior_is_cropped():
    """Of 400 x 150 pixels a crop to 4:3 leaves the middle 200: the prior is the stored image's there."""
    crop = Geometry("crop", long_side_px=200, short_side_px=150)
    found = gaussian_log_prior(150, 200, 150, 400, 0.22, 0.45, crop.seen(150, 400))
    window = gaussian_log_prior(150, 400, 150, 400, 0.22, 0.45)[:, 100:300]
    np.testing.assert_allclose(found, window - np.log(np.exp(window).sum()), atol=1e-9)
    assert crop.seen(400, 150) == pytest.approx((0.5, 1)) and Geometry("stretch", 200, 150).seen(150, 400) == (1, 1)


@pytest.mark.parametrize("k", range(4))
def test_gaussian_prior_is_the_golden_one(k):
    expected = np.load(Path(__file__).parents[1] / "golden" / "metrics.npz")[f"prior_{k}"]
    height, width = expected.shape
    # the golden prior is round in relative coordinates: a stored square, nu 1, variance 1/4
    np.testing.assert_allclose(gaussian_log_prior(height, width, 1, 1, 0.25, 1.0), expected, atol=1e-9)
