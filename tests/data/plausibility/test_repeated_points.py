"""Many points at exactly one place."""

import numpy as np
import pytest

from entreg.data.plausibility.repeated_points import at_one_place
from tests.data.plausibility.gaze import moved
from tests.data.plausibility.test_wrong_frames import spread


def with_share(share, x, y):
    points = spread()
    there = np.arange(400) >= 400 * (1 - share)
    return moved(points, np.where(there, x, points.x), np.where(there, y, points.y))


def test_points_at_different_places_are_no_finding():
    found, elsewhere = at_one_place(spread())
    assert found == [] and elsewhere.all()


def test_lost_gaze_is_told_and_set_aside():
    (finding,), elsewhere = at_one_place(with_share(0.15, 0, 0))
    assert (finding.kind, finding.count, finding.of) == ("at_origin", 60, 400)
    assert "60 of 400 fixations lie at exactly (0, 0)" in finding.message
    assert elsewhere.sum() == 340


def test_two_places_are_told_and_set_aside():
    """60 at (0, 0) and, of the others, 40 at (5, 7)."""
    points = with_share(0.15, 0, 0)
    there = np.arange(400) < 40
    found, elsewhere = at_one_place(moved(points, np.where(there, 5, points.x), np.where(there, 7, points.y)))
    assert [(finding.kind, finding.count) for finding in found] == [("at_origin", 60), ("one_point", 40)]
    assert elsewhere.sum() == 300


def test_all_at_the_origin_leaves_nothing():
    found, elsewhere = at_one_place(with_share(1, 0, 0))
    assert [finding.kind for finding in found] == ["at_origin"] and not elsewhere.any()


@pytest.mark.parametrize("share", [0.15, 1.0])
def test_one_point_is_told_with_its_place(share):
    (finding,), _ = at_one_place(with_share(share, 512, 384.5))
    assert (finding.kind, finding.count) == ("one_point", 400 * share)
    assert "(512, 384.5)" in finding.message


def test_the_middle_of_images_of_several_sizes_is_one_point():
    points = spread()
    sizes = 100.0 + np.arange(400)
    middles = type(points)(sizes / 2, sizes, sizes, 2 * sizes, points.image)
    (finding,), _ = at_one_place(middles)
    assert "(0.500, 0.500 as shares of the sides)" in finding.message


@pytest.mark.parametrize("share, x", [(0.02, 0), (0.05, 512)])
def test_a_share_that_chance_explains_is_no_finding(share, x):
    """8 at (0, 0) are fewer than ten; 20 of 400 are the 5 % that may lie at one point."""
    assert at_one_place(with_share(share, x, x))[0] == []


def test_tiny_images_have_few_pixels_to_look_at():
    points = spread(4, 4)
    assert at_one_place(moved(points, np.floor(points.x), np.floor(points.y)))[0] == []


def test_a_line_is_no_point():
    """All at one x, at 20 different y: 20 of 400 at each."""
    points = spread()
    assert at_one_place(moved(points, np.full(400, 400.0), points.y))[0] == []
