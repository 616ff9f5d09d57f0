"""A density of 4x6 pixels on a map of 2x3 cells, two fixations on it and three on other images."""

import numpy as np
import pytest
import torch

from entreg.evaluation.domain import Truth
from entreg.evaluation.scored_image import CentredOnCells, OnMap, Ranked, ScoredImage
from entreg.model.log_density import LogDensity

P = np.array([[1, 2, 3], [4, 5, 6]]) / 84  # each cell stands for 4 pixels, and 4 * 21 = 84


def density(p: np.ndarray) -> LogDensity:
    rows, columns = (torch.full((n,), 2) for n in p.shape)
    return LogDensity(torch.tensor(np.log(p))[None], rows, columns)


@pytest.fixture
def image() -> ScoredImage:
    at = np.array([[0, 3], [0, 5]])  # (0, 0) and (3, 5): the first and the last cell
    truth = Truth(
        "a.png",
        None,
        (4, 6),
        *at,
        np.full((4, 6), 1 / 24),
        np.zeros(2),
        np.zeros(2),
        {},
        np.array([0, 1, 2]),
        np.array([2, 3, 0]),
    )
    on_map = OnMap(truth, torch.full((2,), 2), torch.full((3,), 2))
    return ScoredImage(on_map, density(P), {"uniform": density(np.full((2, 3), 1 / 24))})


def test_the_density_is_read_at_the_fixations(image):
    np.testing.assert_allclose(np.exp(image.at), [1 / 84, 6 / 84])
    np.testing.assert_allclose(np.exp(image.at_given["uniform"]), 1 / 24)
    assert image.at_given.keys() == {"uniform"} and image.at.dtype == np.float64


def test_every_pixel_has_its_cells_density(image):
    assert image.full.shape == (4, 6) and image.full.sum() == pytest.approx(1)
    np.testing.assert_allclose(image.full[::2, ::2], P)
    np.testing.assert_allclose(image.full[1::2, 1::2], P)


def test_cells_count_their_pixels_and_the_fixations_of_other_images(image):
    np.testing.assert_array_equal(image.pixels, np.full((2, 3), 4))
    np.testing.assert_array_equal(image.nonfixations, [[0, 2, 0], [1, 0, 0]])


def test_a_map_is_ranked_once_for_all_that_is_asked_of_it(image):
    # of the nonfixations 2/84, 2/84 and 4/84 all are above 1/84 and all below 6/84
    np.testing.assert_array_equal(image.ranked.auc(image.at, image.nonfixations), [0, 1])
    assert image.ranked is image.ranked
    assert Ranked(P).auc(np.array([4 / 84]))[0] == pytest.approx((3 + 0.5) / 6)


def test_a_correlation_with_cells_is_that_of_all_pixels():
    """Cells of 1 to 3 rows and columns; numpy's correlation of the map that has every pixel."""
    rng, sides = np.random.default_rng(0), (np.array([2, 1, 3]), np.array([1, 2, 2, 3]))
    blurred, cells = rng.random((6, 8)), rng.random((3, 4))
    full = cells.repeat(sides[0], 0).repeat(sides[1], 1)
    found = CentredOnCells(blurred, sides).cc(cells)
    assert found == pytest.approx(np.corrcoef(full.ravel(), blurred.ravel())[0, 1], abs=1e-14)
    assert CentredOnCells(2 * full + 1, sides).cc(cells) == pytest.approx(1)
    assert CentredOnCells(-full, sides).cc(cells) == pytest.approx(-1)
    assert CentredOnCells(blurred, sides).cc(np.ones((3, 4))) == CentredOnCells(np.ones((6, 8)), sides).cc(cells) == 0
