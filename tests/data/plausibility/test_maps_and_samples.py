"""Blurred maps and samples of gaze."""

import cv2
import numpy as np
import pytest

from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.data.plausibility.maps_and_samples import _touching, blurred_maps, samples
from tests.data.plausibility.gaze import shares

HEIGHT, WIDTH = 300, 400


def of_maps(maps, from_maps=True):
    image, rows, columns = np.nonzero(np.stack(maps))
    stimuli = tuple(Stimulus(f"{i}.png", None, HEIGHT, WIDTH) for i in range(len(maps)))
    return DataSet("made up", stimuli, Fixations(image, columns + 0.5, rows + 0.5), {}, from_maps=from_maps)


@pytest.fixture
def dots(rng):
    """Ten maps of 40 fixated pixels each: every 3000th."""
    maps = np.zeros((10, HEIGHT, WIDTH))
    for one in maps:
        one.flat[rng.choice(HEIGHT * WIDTH // 9, 40, replace=False) * 9] = 1  # none touches another
    return maps


def test_dots_are_fixations(dots):
    assert blurred_maps(of_maps(dots)) is None


def test_a_row_of_two_touches_and_the_ends_of_two_rows_do_not():
    one = np.zeros((HEIGHT, WIDTH))
    one[5, 10:12] = one[7, WIDTH - 1] = one[8, 0] = 1
    one[20:220:2, 3] = 1
    below = np.zeros((HEIGHT, WIDTH))
    one[-1, 7] = below[0, 7] = 1

    dataset = of_maps([one, below])
    sizes = np.array([HEIGHT] * 2), np.array([WIDTH] * 2)
    assert _touching(dataset, *sizes).sum() == 2


def test_blurred_maps_are_told(dots):
    blurred = [cv2.GaussianBlur(one, (0, 0), 8) for one in dots]
    bright = [one > 0.5 * one.max() for one in blurred]
    finding = blurred_maps(of_maps(bright))
    assert finding.kind == "blurred_maps" and finding.count > 0.99 * finding.of
    assert "seem to be blurred" in finding.message


def test_a_density_without_zeros_is_told():
    finding = blurred_maps(of_maps([np.ones((HEIGHT, WIDTH))]))
    assert (finding.kind, finding.count) == ("blurred_maps", HEIGHT * WIDTH)
    assert "100 % of all pixels" in finding.message


def test_dots_of_three_pixels_each_way_are_told(dots):
    grown = [cv2.dilate(one, np.ones((3, 3))) for one in dots]
    assert blurred_maps(of_maps(grown)).kind == "blurred_maps"


def test_a_few_dots_on_a_tiny_map_may_touch(rng):
    """12 of 40 x 30 pixels, of which 2 touch."""
    stimuli = (Stimulus("a.png", None, 30, 40),)
    fixations = Fixations(np.zeros(12, np.int64), np.r_[0:20:2, 30, 31] + 0.5, np.full(12, 3.5))
    assert blurred_maps(DataSet("made up", stimuli, fixations, {}, from_maps=True)) is None


def test_tables_are_no_maps():
    assert blurred_maps(of_maps([np.ones((HEIGHT, WIDTH))], from_maps=False)) is None


def recorded(rng, people=3, images=4, looks=12, each=1, noise_px=1.0, subjects=True):
    """Each look gives `each` points around one place."""
    n = people * images * looks
    x, y = shares(rng, n).T * [[WIDTH], [HEIGHT]]
    x, y = (np.repeat(axis, each) + rng.normal(0, noise_px, n * each) for axis in (x, y))
    image = np.repeat(np.arange(images), people * looks * each)
    subject = np.tile(np.repeat(np.arange(people), looks * each), images)
    stimuli = tuple(Stimulus(f"{i}.png", None, HEIGHT, WIDTH) for i in range(images))
    return DataSet("made up", stimuli, Fixations(image, x, y, subject if subjects else None), {})


@pytest.mark.parametrize("subjects", [True, False])
def test_samples_are_told(rng, subjects):
    """25 samples of each look, 300 of a person on an image: 24 of 25 steps stay where they were."""
    finding = samples(recorded(rng, each=25, subjects=subjects))
    assert finding.kind == "samples" and finding.count > 0.9 * finding.of
    assert f"there are {300 if subjects else 900} in a row" in finding.message


@pytest.mark.parametrize("looks", [12, 80])
@pytest.mark.parametrize("subjects", [True, False])
def test_fixations_are_no_samples_however_many_they_are(rng, looks, subjects):
    assert samples(recorded(rng, looks=looks, subjects=subjects)) is None


def test_people_who_take_turns_are_compared_with_themselves():
    """By time, ten people look at ten columns in turn; each hardly moves in 60 points."""
    x = np.tile(np.linspace(0, WIDTH - 1, 10), 60)
    y = np.repeat(np.linspace(0, HEIGHT - 1, 60), 10)
    fixations = Fixations(np.zeros(600, np.int64), x, y, np.tile(np.arange(10), 60))
    stimuli = (Stimulus("a.png", None, HEIGHT, WIDTH),)
    assert samples(DataSet("made up", stimuli, fixations, {})).count == 590
    unknown = Fixations(fixations.image, fixations.x, fixations.y)
    assert samples(DataSet("made up", stimuli, unknown, {})) is None


def test_points_at_one_place_are_another_finding():
    fixations = Fixations(np.zeros(600, np.int64), np.full(600, 5.0), np.full(600, 7.0))
    assert samples(DataSet("made up", (Stimulus("a.png", None, HEIGHT, WIDTH),), fixations, {})) is None
