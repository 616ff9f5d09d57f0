from pathlib import Path

import numpy as np
import pytest
import torch

from entreg.config import Primary
from entreg.errors import SettingError
from entreg.evaluation import metrics
from entreg.evaluation.domain import rescaled_pixels
from entreg.evaluation.metrics import METRICS, primary_metric
from entreg.model.log_density import LogDensity

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics.npz")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "metric, prior, key",
    [
        ("ig", "gaussian", "ig_bits_per_fixation"),
        ("ig", "kde", "ig_kde_bits_per_fixation"),
        ("ll", "gaussian", "ll_bits_per_fixation"),
        ("ll", "kde", "ll_bits_per_fixation"),
        ("nss", "kde", "nss"),
        ("kl_bits", "gaussian", "kl_bits"),
    ],
)
def test_a_study_is_for_the_metric_that_it_names(metric, prior, key):
    assert primary_metric(Primary(metric=metric, prior=prior)).key == key


@pytest.mark.parametrize("name", ["beauty", "kl_kde_prior_bits", "ig_own_center_bias_bits_per_fixation"])
def test_a_study_is_for_no_reference_and_for_nothing_that_foreign_sets_alone_have(name):
    with pytest.raises(SettingError) as error:
        primary_metric(Primary(metric=name))
    assert str(error.value) == (
        f"evaluation.primary.metric={name} is no metric by which arms are compared "
        "(one of ig, ll, nss, auc, sauc, cc, sim, kl_bits)"
    )


class Photo:
    """One of the four images of the golden vectors and the fixations on it."""

    def __init__(self, k):
        self.log_density, self.log_prior = GOLDEN[f"log_density_{k}"], GOLDEN[f"prior_{k}"]
        self.height, self.width = self.log_density.shape
        self.of_image = GOLDEN["n"] == k
        self.y = np.floor(GOLDEN["y"][self.of_image]).astype(int)
        self.x = np.floor(GOLDEN["x"][self.of_image]).astype(int)
        self.at = self.log_density[self.y, self.x]
        self.prior_at = self.log_prior[self.y, self.x]


PHOTOS = [Photo(k) for k in range(4)]


def mean_over_images(of_photo):
    return np.mean([np.mean(of_photo(photo)) for photo in PHOTOS])


@pytest.mark.parametrize("photo", PHOTOS)
def test_ig_nss_and_auc_are_pysaliencys(photo):
    expected = {
        name: GOLDEN[f"{name}_per_fixation{unit}"][photo.of_image]
        for name, unit in (("ig_center", "_bits"), ("nss", ""), ("auc", ""))
    }
    np.testing.assert_allclose(metrics.ig_bits(photo.at, photo.prior_at), expected["ig_center"], atol=1e-12)
    np.testing.assert_allclose(metrics.nss(photo.at, photo.log_density), expected["nss"], atol=1e-12)
    np.testing.assert_allclose(metrics.auc(photo.at, photo.log_density), expected["auc"], atol=1e-12)


@pytest.mark.parametrize("photo", PHOTOS)
def test_shuffled_auc_is_pysaliencys(photo):
    others = ~photo.of_image
    heights, widths = np.array([(p.height, p.width) for p in PHOTOS])[GOLDEN["n"][others]].T
    y = rescaled_pixels(GOLDEN["y"][others], heights, photo.height)
    x = rescaled_pixels(GOLDEN["x"][others], widths, photo.width)
    expected = GOLDEN["sauc_per_fixation"][photo.of_image]
    np.testing.assert_allclose(metrics.auc(photo.at, photo.log_density[y, x]), expected, atol=1e-12)


def test_means_are_pysaliencys():
    ig = np.concatenate([metrics.ig_bits(p.at, p.prior_at) for p in PHOTOS])
    assert ig.mean() == pytest.approx(float(GOLDEN["ig_center_mean_over_fixations"]), abs=1e-12)
    for name, of_photo in {
        "ig_center": lambda p: metrics.ig_bits(p.at, p.prior_at),
        "ig_uniform": lambda p: metrics.ll_bits(p.at, p.height, p.width),
        "auc": lambda p: metrics.auc(p.at, p.log_density),
        "nss": lambda p: metrics.nss(p.at, p.log_density),
    }.items():
        assert mean_over_images(of_photo) == pytest.approx(float(GOLDEN[f"{name}_mean_over_images"]), abs=1e-12), name


def test_uniform_density_gains_nothing_and_ranks_nothing():
    uniform = np.full((48, 64), -np.log(48 * 64))
    at = uniform[[3, 40], [60, 2]]
    np.testing.assert_allclose(metrics.ll_bits(at, 48, 64), 0, atol=1e-12)
    np.testing.assert_array_equal(metrics.auc(at, uniform), 0.5)
    np.testing.assert_array_equal(metrics.nss(at, uniform), 0)
    assert metrics.cc(np.exp(uniform), np.eye(48, 64) / 48) == 0


def test_twice_the_density_is_one_bit():
    assert metrics.ig_bits(np.log([0.5]), np.log([0.25])) == pytest.approx(1)


@pytest.mark.parametrize("photo", PHOTOS)
def test_ig_is_the_difference_of_the_two_divergences(photo):
    y, x = np.append(photo.y, photo.y[:3]), np.append(photo.x, photo.x[:3])  # three pixels fixated once more
    at, prior_at = photo.log_density[y, x], photo.log_prior[y, x]
    difference = metrics.kl_bits(prior_at, y, x) - metrics.kl_bits(at, y, x)
    assert metrics.ig_bits(at, prior_at).mean() == pytest.approx(difference, abs=1e-12)


def test_kl_counts_a_pixel_fixated_twice_twice():
    # h = (2/3, 1/3), p = (1/2, 1/4): both ratios are 4/3
    at = np.log([0.5, 0.25, 0.5])
    assert metrics.kl_bits(at, np.array([7, 1, 7]), np.array([2, 2, 2])) == pytest.approx(np.log2(4 / 3))


def test_auc_counts_pairs_and_half_of_ties(rng):
    log_density = np.log(rng.integers(1, 5, (6, 7)) / 100)  # four values: many ties
    at = log_density[[0, 2, 5], [1, 6, 3]]
    expected = [np.mean([(pixel < value) + 0.5 * (pixel == value) for pixel in log_density.ravel()]) for value in at]
    np.testing.assert_allclose(metrics.auc(at, log_density), expected, atol=1e-15)


def test_cells_give_what_their_pixels_give(rng):
    rows, columns = torch.tensor([4, 3, 4, 4]), torch.tensor([4, 4, 4, 4, 2])
    density = LogDensity.normalised(torch.tensor(rng.normal(size=(1, 4, 5))), rows, columns)
    cells, full = density.grid[0].numpy(), density.full()[0].numpy()
    pixels = (rows[:, None] * columns).numpy()
    at = full[[0, 14, 9], [17, 3, 3]]
    for metric in (metrics.auc, metrics.nss):
        np.testing.assert_allclose(metric(at, cells, pixels), metric(at, full), atol=1e-12)


def test_cc_is_numpys_and_sim_is_the_shared_mass(rng):
    p, q = rng.dirichlet(np.ones(30)).reshape(5, 6), rng.dirichlet(np.ones(30)).reshape(5, 6)
    assert metrics.cc(p, q) == pytest.approx(np.corrcoef(p.ravel(), q.ravel())[0, 1], abs=1e-12)
    assert metrics.sim(p, p) == pytest.approx(1)
    assert metrics.sim(np.array([[0.5, 0.5, 0.0]]), np.array([[0.2, 0.0, 0.8]])) == pytest.approx(0.2)
    assert metrics.sim(p, q) == pytest.approx(1 - np.abs(p - q).sum() / 2)


def test_every_metric_is_described_once():
    assert len({metric.key for metric in METRICS}) == len({metric.difference_key for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.title and metric.unit and metric.meaning.endswith(".")
        assert metric.better in ("higher", "lower") if metric.compared else metric.better is None


@pytest.mark.parametrize(
    "key, expected",
    [
        ("ig_bits_per_fixation", "ig_difference_bits"),
        ("ig_kde_bits_per_fixation", "ig_kde_difference_bits"),
        ("nss", "nss_difference"),
        ("kl_bits", "kl_bits_difference"),
    ],
)
def test_the_keys_of_differences(key, expected):
    assert {metric.key: metric.difference_key for metric in METRICS}[key] == expected
