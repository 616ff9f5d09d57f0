"""Stimuli, fixations and their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from entreg.data.dataset import DataSet, Fixations, Stimulus, inside, natural_order, sides_px, sorted_fixations

SIZES = [(30, 40), (40, 30), (10, 10)]  # (height, width)
STIMULI = tuple(Stimulus(f"{i}.png", Path(f"{i}.png"), *size) for i, size in enumerate(SIZES))


def fixations(subject=True) -> Fixations:
    """Five fixations on images 0, 0, 1, 1 and 2."""
    image, x, y = [0, 0, 1, 1, 2], [0.0, 1.5, 2.99, 3.0, 4.25], [5.0, 6.9, 7.0, 8.0, 9.0]
    who = np.array([7, 8, 7, 8, 9]) if subject else None
    return Fixations(np.array(image), np.array(x), np.array(y), who)


def columns(some: Fixations) -> list[list[float]]:
    return [some.image.tolist(), some.x.tolist(), some.y.tolist(), some.subject.tolist()]


@pytest.mark.parametrize(
    "names",
    [
        ["i2.jpg", "i10.jpg"],
        ["a1b2", "a1b10", "a2b1"],
        ["9", "10", "a"],
        ["Cartoon/002.jpg", "cartoon/10.jpg", "Fractal/001.jpg"],
        ["i05june05_static_street_boston_p1010764.jpeg", "i1000978947.jpeg", "istatic_submitted_darrell.jpeg"],
    ],
    ids=str,
)
def test_numbers_in_names_are_ordered_as_numbers_and_case_does_not_count(names):
    backwards = names[::-1]
    assert sorted(backwards, key=natural_order) == names


def test_a_name_without_numbers_is_ordered_by_its_letters():
    assert sorted(["b", "C", "a"], key=natural_order) == ["a", "b", "C"]


@pytest.mark.parametrize("rows", [slice(1, 4), [1, 2, 3], np.array([False, True, True, True, False])], ids=str)
def test_some_of_the_fixations_are_a_slice_indices_or_a_mask(rows):
    assert columns(fixations()[rows]) == [[0, 1, 1], [1.5, 2.99, 3.0], [6.9, 7, 8], [8, 7, 8]]
    assert len(fixations()[rows]) == 3


def test_positions_in_the_trial_and_durations_stay_with_their_fixations():
    inside, outside = sorted_fixations(
        STIMULI, [2, 0, 0], [1, 2, 99], [1, 1, 1], None, np.array([4, 5, 6]), [40, 50, 60]
    )
    assert inside.order.tolist() == [5, 4] and inside.duration_ms.tolist() == [50, 40]
    assert outside.order.tolist() == [6] and outside.duration_ms.tolist() == [60] and outside.subject is None


def test_without_subjects_there_are_none_in_a_part_either():
    assert fixations(subject=False)[1:3].subject is None


def test_a_fixation_lies_on_the_pixel_that_it_falls_into():
    y, x = fixations().pixels
    assert x.tolist() == [0, 1, 2, 3, 4] and y.tolist() == [5, 6, 7, 8, 9]
    assert x.dtype == y.dtype == np.int64


def test_fixations_are_sorted_by_image_and_keep_their_order_within_it():
    inside, outside = sorted_fixations(
        STIMULI, [2, 0, 1, 0, 2, 0], [1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1], np.array([10, 11, 12, 13, 14, 15])
    )
    assert columns(inside) == [[0, 0, 0, 1, 2, 2], [2, 4, 6, 3, 1, 5], [1] * 6, [11, 13, 15, 12, 10, 14]]
    assert len(outside) == 0
    assert inside.image.dtype == np.int64 and inside.x.dtype == inside.y.dtype == np.float64


def test_the_order_of_many_fixations_is_kept_too():
    """Sorting that is not stable keeps the order of a few by chance."""
    image, time = np.tile([1, 0], 500), np.arange(1000)
    inside, _ = sorted_fixations(STIMULI, image, np.ones(1000), np.ones(1000), time)
    assert inside.subject.tolist() == [*range(1, 1000, 2), *range(0, 1000, 2)]


def test_fixations_outside_their_own_image_are_left_out_and_counted():
    """The last column of image 0 is 39, of image 1 it is 29; the border itself belongs to the next pixel."""
    image = [0, 0, 0, 0, 0, 1, 1, 2]
    x = [39.99, 40.0, 0.0, -0.01, 5.0, 29.99, 35.0, 5.0]
    y = [29.99, 5.0, 0.0, 5.0, 30.0, 39.99, 5.0, -1.0]
    inside, outside = sorted_fixations(STIMULI, image, x, y, None)
    assert list(zip(inside.image, inside.x, inside.y, strict=True)) == [(0, 39.99, 29.99), (0, 0, 0), (1, 29.99, 39.99)]
    assert list(zip(outside.image, outside.x, outside.y, strict=True)) == [
        (0, 40, 5),
        (0, -0.01, 5),
        (0, 5, 30),
        (1, 35, 5),
        (2, 5, -1),
    ]
    assert inside.subject is None


def test_a_data_set_says_what_it_holds():
    dropped = {"outside the image": 3, "first of a trial": 40}
    assert DataSet("mine", STIMULI, fixations(), dropped).summary() == (
        "mine: 3 images, 5 fixations of 48 read; dropped fixations: 3 outside the image, 40 first of a trial"
    )
    assert DataSet("mine", STIMULI, fixations(), {}).summary().endswith("dropped fixations: none")


def test_a_place_is_inside_on_the_first_pixel_and_before_the_end_of_the_last():
    x, y = np.array([0, 39.99, 40, -0.01, 5, 5, np.nan]), np.array([0, 29.99, 5, 5, 30, -1, 5])
    assert inside(x, y, 40, 30).tolist() == [True, True, False, False, False, False, False]


def test_sides_are_widths_and_heights():
    stimuli = [Stimulus("a", Path("a"), 30, 40), Stimulus("b", Path("b"), 300, 200)]
    width, height = sides_px(stimuli)
    assert width.tolist() == [40, 200] and height.tolist() == [30, 300]
