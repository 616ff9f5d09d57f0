"""A centre bias comes back as it was kept, to the bit, and whatever else a file holds is named."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.config import Prior
from entreg.errors import DataError
from entreg.priors import center_bias_file
from entreg.priors.center_bias import CenterBias
from entreg.priors.kde import FixationKde, pooled

SIZES = (48, 64), (64, 48), (33, 70)


@pytest.fixture
def center_bias():
    """Of fixations that do not come image by image."""
    rng = np.random.default_rng(0)
    y, x, image = rng.random(40), rng.random(40), rng.integers(3, 9, 40)
    prior = Prior(gaussian_variance=0.3, gaussian_nu=0.6, kde_bandwidth=0.06, kde_regularisation=1e-9)
    return CenterBias("kde", prior, 4, FixationKde(y, x, image, prior.kde_bandwidth, prior.kde_regularisation))


def test_a_kde_comes_back_to_the_bit(tmp_path, center_bias):
    center_bias_file.write(tmp_path / "kept.npz", center_bias)
    found = center_bias_file.read(tmp_path / "kept.npz", "kde", 4)
    for size in SIZES:
        assert np.array_equal(found.map(size), center_bias.map(size))
    assert np.array_equal(found.kde.log_density(48, 64, leave_out=5), center_bias.kde.log_density(48, 64, leave_out=5))


@pytest.fixture
def of_two_sets(center_bias):
    """The same, and 30 fixations of another set."""
    rng, prior = np.random.default_rng(1), center_bias.prior
    y, x, image = rng.random(30) ** 2, rng.random(30), rng.integers(0, 5, 30)
    other = FixationKde(y, x, image, prior.kde_bandwidth, prior.kde_regularisation)
    return CenterBias("kde", prior, 4, pooled([center_bias.kde, other]), {"a": center_bias.kde, "b": other})


def test_that_of_each_of_several_sets_comes_back_to_the_bit(tmp_path, of_two_sets):
    center_bias_file.write(tmp_path / "kept.npz", of_two_sets)
    found = center_bias_file.read(tmp_path / "kept.npz", "kde", 4)
    for size in SIZES:
        assert np.array_equal(found.map(size), of_two_sets.map(size))
        for name, kde in of_two_sets.of_sets.items():
            expected = CenterBias("kde", of_two_sets.prior, 4, kde).map(size)
            assert np.array_equal(found.of_set(name).map(size), expected)
            assert not np.array_equal(expected, found.map(size))


@pytest.mark.parametrize("counts", [[40, 31], [70], [-1, 71]])
def test_sets_that_are_not_those_of_the_fixations_are_named(tmp_path, of_two_sets, counts):
    path = tmp_path / "kept.npz"
    center_bias_file.write(path, of_two_sets)
    np.savez(path, **dict(np.load(path)) | {"fixations": np.array(counts)})
    with pytest.raises(DataError, match=rf"^{path}: .* its sets are not those of its fixations"):
        center_bias_file.read(path, "kde", 4)


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_a_formula_comes_back_with_its_numbers(tmp_path, kind):
    center_bias = CenterBias(kind, Prior(gaussian_variance=0.3, gaussian_nu=0.6), 4, None)
    center_bias_file.write(tmp_path / "kept.npz", center_bias)
    found = center_bias_file.read(tmp_path / "kept.npz", kind, 4)
    assert found.prior == center_bias.prior
    for size in SIZES:
        assert np.array_equal(found.map(size), center_bias.map(size))
    other = CenterBias("gaussian", Prior(), 4, None)
    assert not np.array_equal(found.map(SIZES[0]), other.map(SIZES[0]))


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"y": np.array([0.5, 2.0])}, "not lists of one length"),
        ({"x": np.full(40, 1.5)}, "not shares of an image's sides"),
        ({"x": np.full(40, np.nan)}, "not shares"),
        ({"image": np.zeros(40)}, "not lists"),
        ({"kind": np.array("none")}, "none"),
        ({"kde_bandwidth": np.array(-1.0)}, "kde_bandwidth is -1.0"),
        ({"y": np.array([None] * 40)}, "allow_pickle=False"),
    ],
    ids=range(7),
)
def test_what_is_no_centre_bias_is_named(tmp_path, center_bias, changed, said):
    path = tmp_path / "kept.npz"
    center_bias_file.write(path, center_bias)
    content = dict(np.load(path)) | changed
    np.savez(path, **content)
    with pytest.raises(DataError, match=rf"^{path}: cannot be read as a run's centre bias: .*{said}"):
        center_bias_file.read(path, "kde", 4)


def test_a_damaged_file_is_named(tmp_path, center_bias):
    path = tmp_path / "kept.npz"
    center_bias_file.write(path, center_bias)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=f"^{path}: .*; restore it, or leave its run out$"):
        center_bias_file.read(path, "kde", 4)


def test_a_file_of_before_formats_is_read_and_one_of_a_later_is_refused(tmp_path, center_bias):
    path = tmp_path / "kept.npz"
    center_bias_file.write(path, center_bias)
    content = dict(np.load(path))
    assert content.pop("format") == 1
    np.savez_compressed(path, **content)
    assert np.array_equal(center_bias_file.read(path, "kde", 4).map(SIZES[0]), center_bias.map(SIZES[0]))
    np.savez_compressed(path, **content, format=2)
    with pytest.raises(DataError, match=f"^{path}: .* it has format 2, and this version of entreg reads format 1"):
        center_bias_file.read(path, "kde", 4)
