"""The points of a data set as they were read."""

import numpy as np
import pytest

from entreg.data.dataset import DataSet, Stimulus, sorted_fixations
from entreg.data.plausibility.points import Points, points_of

STIMULI = (Stimulus("a.png", "a.png", 30, 40), Stimulus("b.png", "b.png", 50, 20))


def points():
    inside, outside = sorted_fixations(STIMULI, [1, 0, 0, 1], [10, 20, -4, np.nan], [25, 15, 6, 5], None)
    return points_of(DataSet("made up", STIMULI, inside, {}, outside=outside))


def test_points_outside_are_among_them_and_those_without_a_position_are_not():
    assert points().x.tolist() == [20, 10, -4] and points().y.tolist() == [15, 25, 6]
    assert points().image.tolist() == [0, 1, 0]
    assert points().width_px.tolist() == [40, 20, 40] and points().height_px.tolist() == [30, 50, 30]
    assert points().outside().tolist() == [False, False, True]


def test_shares_are_of_each_points_own_image():
    x, y = points().shares
    assert x.tolist() == [0.5, 0.5, -0.1] and y.tolist() == [0.5, 0.5, 0.2]


def test_other_positions_can_be_tried():
    """40 is the first column outside of an image 40 wide."""
    p = points()
    assert p.outside(np.array([40, 10, 4]), p.y).tolist() == [True, False, False]


@pytest.mark.parametrize("n, k", [(0, 1), (100_000, 1), (100_001, 2), (200_001, 3)])
def test_of_many_points_every_kth_is_enough(n, k):
    many = Points(*np.zeros((4, n)), np.arange(n))
    assert many.some.image.tolist() == list(range(0, n, k))
