"""Points that reach only a part of their images."""

import pytest

from entreg.data.plausibility.finding import CENTRE
from entreg.data.plausibility.small_coordinates import small_numbers
from tests.data.plausibility.gaze import moved, plausible
from tests.data.plausibility.test_wrong_frames import spread


def found(change):
    points = spread()
    return small_numbers(moved(points, *change(points.x, points.y)))


def test_pixels_reach_across_the_images():
    assert found(lambda x, y: (x, y)) is None
    assert found(lambda x, y: (x - 400, y - 300)) is None  # from the centre: another check tells it


@pytest.mark.parametrize("change", [lambda x, y: (x / 800, y / 600), lambda x, y: (x / 800 - 0.5, y / 600 - 0.5)])
def test_shares_are_told(change):
    finding = found(change)
    assert (finding.kind, finding.count, finding.settings) == ("shares", 400, "data.frame.unit=shares")


def test_a_few_points_on_the_first_pixel_are_no_shares():
    assert found(lambda x, y: (x * (x > 200), y * (x > 200))) is None  # a quarter of them at (0, 0)


def test_pixels_of_images_of_one_pixel_are_no_shares():
    assert small_numbers(spread(1, 1)) is None


def test_degrees_are_told_with_their_origin():
    finding = found(lambda x, y: ((x - 400) / 30, (y - 300) / 30))
    assert finding.kind == "scaled" and "degrees of visual angle from the centre" in finding.message
    assert finding.settings == f"data.frame.unit=degrees {CENTRE}"
    assert found(lambda x, y: (x / 30, y / 30)).settings == "data.frame.unit=degrees"


def test_images_stored_larger_than_they_were_shown_are_told():
    """At half the size everybody looks at the upper left quarter."""
    finding = found(lambda x, y: (x / 2, y / 2))
    assert (finding.kind, finding.count, finding.of) == ("scaled", 400, 400)
    assert "in the upper left quarter" in finding.message and "stored larger than they were shown" in finding.message


@pytest.mark.parametrize("seed", range(10))
def test_a_small_part_of_a_plausible_set_passes_by_chance_nearly_always(seed):
    """Of ten points, all in the quarter are no surprise."""
    points = plausible(seed)
    u, v = points.shares
    first = ((u < 0.5) & (v < 0.5)).nonzero()[0][:10]
    assert small_numbers(points[first]) is None
