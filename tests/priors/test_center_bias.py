"""A training image's own fixations are left out of its centre bias; all other images get all training fixations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from entreg.config import Prior
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError
from entreg.io import files
from entreg.priors import center_bias
from entreg.priors.center_bias import CenterBias, leave_one_out_maps
from entreg.priors.gaussian import gaussian_log_prior
from entreg.priors.kde import FixationKde
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from tests.conftest import SMALL


@pytest.fixture
def fixations():
    rng = np.random.default_rng(0)
    return rng.random(30), rng.random(30), np.repeat(np.arange(6), 5)


def kde_without(fixations, left_out: int | None = None) -> FixationKde:
    y, x, image = (part[fixations[2] != left_out] for part in fixations)
    return FixationKde(y, x, image, 0.05, 1e-15)


def test_maps_leave_the_image_out_and_are_kept(fixations, tmp_path):
    sizes = [(24, 32), (32, 24)] * 3
    arguments = kde_without(fixations), "key", list(range(6)), sizes, 4, tmp_path, Ranks()
    maps = leave_one_out_maps(*arguments)
    for i, (found, size) in enumerate(zip(maps, sizes, strict=True)):
        expected = kde_without(fixations, i).log_density(*size)[::4, ::4]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.bin")}
    leave_one_out_maps(*arguments)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.bin")} == written


@pytest.mark.parametrize("kind", ["kde", "gaussian", "uniform"])
def test_the_map_is_the_full_ones_every_fourth_pixel(fixations, kind):
    full = {
        "kde": lambda: kde_without(fixations).log_density(24, 32),
        "gaussian": lambda: gaussian_log_prior(24, 32, 24, 32, 0.22, 0.45),
        "uniform": lambda: np.full((24, 32), -math.log(24 * 32)),
    }[kind]()
    assert np.exp(full.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
    found = CenterBias(kind, Prior(), 4, kde_without(fixations)).map((24, 32))
    np.testing.assert_allclose(found, full[::4, ::4], atol=1e-6)


def test_in_a_study(composed, store):
    config = resolved(composed(*SMALL, f"paths.store={store}"))
    study = Study(config, StudyCache(Ranks()))
    trained, validated = (part.parts["synthetic"] for part in (study.training, study.validation))
    training, fixations = trained.items, study.data.fixations
    own = fixations[np.isin(fixations.image, training)]
    heights, widths = study.data.sides(own)
    image, y, x = own.image, own.y / heights, own.x / widths

    def expected(left_out: int | None, size: tuple[int, int]) -> np.ndarray:
        keep = image != left_out
        kde = FixationKde(y[keep], x[keep], image[keep], config.prior.kde_bandwidth, config.prior.kde_regularisation)
        return kde.log_density(*size)[::4, ::4]

    part = trained
    np.testing.assert_allclose(part.center_biases[3], expected(part.items[3], part.sizes[3]), atol=1e-5)
    for part in (validated, study.foreign("synthetic_ood")):
        np.testing.assert_allclose(part.center_biases[0], expected(None, part.sizes[0]), atol=1e-5)
    size = study.landscape
    assert np.allclose(study.uniform(size).center_bias, expected(None, size), atol=1e-5)
    assert not set(training) & set(validated.items)


@pytest.mark.parametrize("damage", ["short", "long", "zeros", "empty"])
def test_maps_that_are_damaged_are_named(fixations, tmp_path, damage):
    """Zeros are what a file system leaves of a block that a crash kept from the disk: finite, and another result."""
    arguments = kde_without(fixations), "key", list(range(6)), [(24, 32)] * 6, 4, tmp_path, Ranks()
    leave_one_out_maps(*arguments)
    (path,) = tmp_path.rglob("24x32.bin")
    whole = path.read_bytes()
    assert len(whole) == 6 * 6 * 8 * 4 + 8
    path.write_bytes({"short": whole[:-7], "long": whole + b"0", "zeros": bytes(64) + whole[64:], "empty": b""}[damage])
    with pytest.raises(DataError, match=r"24x32.bin: damaged .*remove it"):
        leave_one_out_maps(*arguments)


def test_maps_are_read_where_nothing_may_be_written(fixations, tmp_path, monkeypatch):
    arguments = kde_without(fixations), "key", list(range(6)), [(24, 32)] * 6, 4, tmp_path, Ranks()
    expected = leave_one_out_maps(*arguments)

    def refuse(*_):
        raise AssertionError("something was written")

    monkeypatch.setattr(files, "write", refuse)
    monkeypatch.setattr(files, "create", refuse)
    np.testing.assert_array_equal(leave_one_out_maps(*arguments), expected)


def test_maps_of_another_version_of_the_code_are_not_read(fixations, tmp_path, monkeypatch):
    arguments = kde_without(fixations), "key", list(range(6)), [(24, 32)] * 6, 4, tmp_path, Ranks()
    leave_one_out_maps(*arguments)
    monkeypatch.setattr(center_bias, "VERSION", center_bias.VERSION + 1)
    leave_one_out_maps(*arguments)
    assert len(list(tmp_path.iterdir())) == 2
