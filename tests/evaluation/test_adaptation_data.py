"""Folds of a foreign set, and its own centre bias without the image and without the fold that is judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from entreg.evaluation.adaptation_data import FEWEST_IMAGES, adaptation_data_of
from entreg.priors.kde import FixationKde
from tests.evaluation.drawn import SIZE, domain, gaussian


def drawn(images: int, fixations: int = 12):
    large = gaussian(0.4, 0.6, 0.2).repeat_interleave(4, 0).repeat_interleave(4, 1)
    return domain(large.expand(images, -1, -1), fixations, 1)


def kde_map(found, kept: np.ndarray) -> np.ndarray:
    """(m_y, m_x) of the fixations on the images `kept`."""
    fixations = found.subset.resized.fixations
    own = np.isin(fixations.image, kept)
    kde = FixationKde(
        fixations.y[own] / SIZE[0],
        fixations.x[own] / SIZE[1],
        fixations.image[own],
        found.prior.kde_bandwidth,
        found.prior.kde_regularisation,
    )
    return kde.log_density(*SIZE)[::4, ::4]


@pytest.mark.parametrize("images, n_folds", [(FEWEST_IMAGES, 5), (49, 5), (50, 10)])
def test_ten_folds_or_five_below_fifty_images(images, n_folds):
    target = adaptation_data_of(drawn(images), 4, seed=0)
    (group,) = target.groups
    assert target.n_folds == n_folds and sorted(group.numbers) == list(range(images))
    sizes = np.bincount(group.fold, minlength=n_folds)
    assert sizes.max() == -(-images // n_folds) and sizes.sum() == images


def test_folds_come_from_the_seed():
    folds = [adaptation_data_of(drawn(30), 4, seed).groups[0].fold.tolist() for seed in (0, 0, 1)]
    assert folds[0] == folds[1] != folds[2]


def test_too_few_images_are_no_target():
    assert adaptation_data_of(drawn(FEWEST_IMAGES - 1), 4, seed=0) is None


def test_the_own_centre_bias_leaves_the_image_out_and_while_fitting_the_judged_fold():
    found = drawn(25)
    (group,) = adaptation_data_of(found, 4, seed=0).groups
    every = np.arange(25)
    for k in (0, 11, 24):
        alone = kde_map(found, every[every != k])
        np.testing.assert_allclose(group.kde[k], alone, atol=1e-5)
        for fold in range(5):
            if fold == group.fold[k]:
                assert group.kde_fitted[fold, k].isnan().all() and group.kde_at[fold, k].isnan()
                continue
            kept = every[(every != k) & (group.fold != fold)]
            expected = kde_map(found, kept)
            np.testing.assert_allclose(
                group.kde_fitted[fold, k].reshape(len(group.rows), -1),
                expected[group.rows[:, None], group.columns],
                atol=1e-5,
            )
            y, x = (axis.numpy() // 4 for axis in found.subset.fixations[k])
            assert float(group.kde_at[fold, k]) == pytest.approx(expected[y, x].mean(), abs=1e-5)


def test_means_over_fixations_are_of_the_maps_pixels_that_they_lie_in():
    found = drawn(20)
    (group,) = adaptation_data_of(found, 4, seed=0).groups
    maps = torch.randn(20, SIZE[0] // 4, SIZE[1] // 4, generator=torch.Generator().manual_seed(0))
    expected = [maps[i, y // 4, x // 4].mean() for i, (y, x) in enumerate(found.subset.fixations)]
    torch.testing.assert_close(group.at(maps), torch.stack(expected))
    priors = [found.log_gaussian[i].mean() for i in range(20)]
    assert group.log_prior.tolist() == pytest.approx(priors)


def test_counts_stand_for_all_pixels():
    (group,) = adaptation_data_of(drawn(20), 4, seed=0).groups
    assert int(group.row_counts.sum()) == SIZE[0] and int(group.column_counts.sum()) == SIZE[1]
    assert float(group.log_counts.exp().sum()) == pytest.approx(SIZE[0] * SIZE[1], rel=1e-4)
