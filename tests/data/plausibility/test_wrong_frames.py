"""Which other frame explains points outside their images."""

import numpy as np
import pytest

from entreg.data.plausibility.finding import CENTRE
from entreg.data.plausibility.points import Points
from entreg.data.plausibility.small_coordinates import small_numbers
from entreg.data.plausibility.wrong_frames import OtherFrame, explains, wrong_frame
from tests.data.plausibility.gaze import in_wrong_frames, moved, plausible

NONE_TURNED = np.zeros(400, dtype=bool)


def spread(width=800, height=600):
    """A point in the middle of each cell of 20 x 20 of an image."""
    x, y = np.meshgrid((np.arange(20) + 0.5) * width / 20, (np.arange(20) + 0.5) * height / 20)
    ones = np.ones(400)
    return Points(x.ravel(), y.ravel(), width * ones, height * ones, np.zeros(400, dtype=np.int64))


def joined(first, second):
    return Points(*(np.concatenate(pair) for pair in zip(vars(first).values(), vars(second).values(), strict=True)))


def found(points, turned=NONE_TURNED):
    return wrong_frame(points, turned)


def test_points_inside_their_images_are_in_the_right_frame():
    assert found(spread()) is None


def test_points_from_the_centre_are_told():
    """Three quarters have a negative x or y."""
    points = spread()
    finding = found(moved(points, points.x - 400, points.y - 300))
    assert (finding.kind, finding.count, finding.of) == ("centred", 300, 400)
    assert finding.settings == CENTRE


def test_swapped_axes_are_told():
    """Now y runs to 800 in an image of 600: the cells from 600 on, 5 of 20 columns."""
    points = spread()
    finding = found(moved(points, points.y, points.x))
    assert (finding.kind, finding.count) == ("swapped", 100)
    assert "where 0 lie outside" in finding.message


def test_a_frame_that_fits_as_it_is_comes_before_a_fitted_one():
    """Swapped on landscapes and portraits, both reach to 4/3. Ten points that drifted out would fit a scale better."""
    both = joined(spread(), spread(600, 800))
    drifted = np.arange(800) >= 790
    x, y = np.where(drifted, 620, both.x), np.where(drifted, 300, both.y)
    finding = found(moved(both, y, x), np.zeros(800, dtype=bool))
    assert finding.kind == "swapped" and "where 10 lie outside" in finding.message


def test_swapped_axes_cannot_be_told_on_square_images():
    points = spread(600, 600)
    assert found(moved(points, points.y, points.x)) is None


def test_a_screen_around_the_images_is_told_with_its_size():
    """The image of 800 x 600 begins at (80, 60): 2 of 20 columns and 2 of 20 rows are outside, 400 - 18 * 18 = 76."""
    points = spread()
    finding = found(moved(points, points.x + 80, points.y + 60))
    assert (finding.kind, finding.count) == ("outside", 76)
    assert "screen of about 960 x 720 pixels with the images in its centre" in finding.message
    assert "data.frame.screen_width_px=960 data.frame.screen_height_px=720" in finding.settings


def test_images_that_share_their_corner_are_told_with_its_place():
    """Images of two sizes have no common centre on the screen where their corners are at (100, 60)."""
    landscape, portrait = spread(), spread(600, 800)
    both = joined(landscape, portrait)
    finding = found(moved(both, both.x + 100, both.y + 60), np.zeros(800, dtype=bool))
    assert "top left corner of the images at about (100, 60)" in finding.message
    assert "data.frame.shown_x_px=100 data.frame.shown_y_px=60" in finding.settings


def test_images_that_were_shown_larger_are_told_with_the_scale():
    """At twice the size, all but a quarter lie outside."""
    points = spread()
    finding = found(moved(points, 2 * points.x, 2 * points.y))
    assert (finding.kind, finding.count) == ("scaled", 300)
    assert "about 2 times as large" in finding.message


def test_turned_images_are_told_from_the_others():
    """Half of the points lie on images that are shown 600 wide and 800 high: a quarter of them outside as stored."""
    points, turned = spread(), np.arange(400) < 200
    image = turned.astype(np.int64)
    shown = Points(
        np.where(turned, points.y, points.x),
        np.where(turned, points.x, points.y),
        points.width_px,
        points.height_px,
        image,
    )
    finding = found(shown, turned)
    assert (finding.kind, finding.count) == ("turned", 50)
    assert "1 images have an EXIF orientation" in finding.message
    assert found(spread(), turned) is None


def test_images_do_not_begin_outside_of_a_screen():
    """80 pixels left of it and 60 below its upper border: no screen shows that."""
    points = spread()
    finding = found(moved(points, points.x - 80, points.y + 60))
    assert (finding.kind, finding.count) == ("outside", 76)
    assert "no other origin, order of the axes, scale or screen explains it" in finding.message


def test_points_outside_that_nothing_explains_are_counted():
    """Every tenth point far off, to all sides: more than a twentieth."""
    points = spread()
    angle = 2 * np.pi * np.arange(400) / 40
    far = np.arange(400) % 10 == 0
    finding = found(
        moved(
            points,
            np.where(far, 400 + 2000 * np.cos(angle), points.x),
            np.where(far, 300 + 2000 * np.sin(angle), points.y),
        )
    )
    assert (finding.kind, finding.count, finding.settings) == ("outside", 40, "")


@pytest.mark.parametrize("n, refused", [(20, False), (28, False), (80, True)])
def test_chance_does_not_refuse_a_set(n, refused):
    """Where 5 % may be outside, 20 of 400 are no surprise, 28 neither, 80 are one."""
    points, far = spread(), np.arange(400) < n
    sides = np.arange(400) % 2
    finding = found(moved(points, np.where(far, np.where(sides, -5000, 5000), points.x), points.y))
    assert (finding is not None) == refused


@pytest.mark.parametrize("count, enough", [(7, True), (6, False)])
def test_seven_points_that_come_back_are_enough(count, enough):
    """1/2^7 < 0.01 < 1/2^6."""
    none, outside = np.zeros(1000, dtype=bool), np.arange(1000) < count
    assert explains(outside, OtherFrame("outside", none, "", "", "")) == enough


@pytest.mark.parametrize("left, enough", [(35, True), (36, False)])
def test_a_frame_that_leaves_more_than_a_third_or_so_outside_explains_nothing(left, enough):
    outside = np.arange(1000) < 100
    assert explains(outside, OtherFrame("outside", np.arange(1000) < left, "", "", "")) == enough


def test_a_frame_that_takes_other_points_out_explains_nothing():
    outside, elsewhere = np.arange(1000) < 100, np.arange(1000) >= 900
    assert not explains(outside, OtherFrame("swapped", elsewhere, "", "", ""))


def check_sets(seeds):
    refused, missed = [], {}
    for seed in seeds:
        points = plausible(seed)
        refused += [seed] if _refused(points) else []
        for kind, wrong in in_wrong_frames(points, seed):
            missed.setdefault(kind, []).append(not _refused(wrong))
    assert not refused
    assert {kind: np.mean(values) for kind, values in missed.items() if np.mean(values) > 0.05} == {}


def _refused(points):
    return bool(small_numbers(points) or wrong_frame(points, np.zeros(len(points), dtype=bool)))


def test_plausible_sets_pass_and_the_same_in_wrong_frames_do_not():
    check_sets(range(60))


@pytest.mark.slow
def test_a_thousand_plausible_sets_pass_and_the_same_in_wrong_frames_do_not():
    check_sets(range(1000))
