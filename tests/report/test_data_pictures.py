"""Pictures of a data set show its fixations where they are."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from entreg.config import Data, Prior
from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.report import data_pictures
from entreg.report.data_pictures import SHEET_SIDE_PX, SIDE_PX
from entreg.report.pictures import Picture
from entreg.study.look import Look, look_at
from tests.report.words_within import assert_within

pytestmark = pytest.mark.painted

ORANGE = (230, 159, 0)


def looked(folder: Path, subject: np.ndarray | None = None) -> Look:
    """Two white images, 1000 x 500 and 30 x 60 px, with a fixation at (250, 400), and with two at (15, 30)."""
    sizes = {"a.png": (1000, 500), "b.png": (30, 60)}
    for name, size in sizes.items():
        Image.new("RGB", size, "white").save(folder / name)
    stimuli = tuple(Stimulus(name, folder / name, height, width) for name, (width, height) in sizes.items())
    gaze = Fixations(np.array([0, 1, 1]), np.array([250.0, 15, 15]), np.array([400.0, 30, 30]), subject)
    return look_at(DataSet("two", stimuli, gaze, {}), Data(source="folder", name="two"), Prior(), 0)


def pixels(picture: Picture) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(picture.content)).convert("RGB"))


def has_colour(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Which pixels have a colour: about, since the pictures are JPEG files."""
    near: np.ndarray = (np.abs(drawn.astype(int) - colour) < 50).all(-1)
    return near


def test_fixations_are_drawn_where_they_are_on_images_made_small(tmp_path):
    b, a = data_pictures.examples(looked(tmp_path))
    drawn = pixels(a)
    assert drawn.shape == (200, SIDE_PX, 3) and a.width == SIDE_PX and pixels(b).shape == (60, 30, 3)
    y, x = np.nonzero(has_colour(drawn, ORANGE))
    assert (x.mean(), y.mean()) == pytest.approx((250 * 0.4, 400 * 0.4), abs=1)  # 400 px of 1000
    assert np.all(drawn[:, SIDE_PX // 2 :] == 255)
    assert a.title == "a.png, 1000 x 500 px, with 1 fixation" and b.alt.endswith("with 2 fixations.")


def test_fixations_outside_are_drawn_in_red_beside_the_image_as_far_as_its_own_size(tmp_path):
    """a.png has 1000 x 500 px. One of its two lies half a width to the left, the other far below: at the border."""
    outside = Fixations(np.array([0, 0]), np.array([-500.0, 300]), np.array([250.0, 9000]))
    look = looked(tmp_path)
    look = look_at(replace(look.dataset, outside=outside), Data(source="folder", name="two"), Prior(), 0)
    assert next(iter(look.examples.values())) == "most fixations outside the image"
    a = data_pictures.examples(look)[0]
    drawn = pixels(a)
    assert a.title == "a.png, 1000 x 500 px, with 1 fixation and 2 outside"
    scale = SIDE_PX / 1500  # from -500 to 1000, and from 0 to 1000, twice the height
    assert drawn.shape == pytest.approx((1000 * scale, SIDE_PX, 3), abs=2)
    y, x = np.nonzero(has_colour(drawn, (255, 0, 0)))
    left = x < 100
    assert (x[left].mean(), y[left].mean()) == pytest.approx((2, 250 * scale), abs=2)
    assert (x[~left].mean(), y[~left].mean()) == pytest.approx((800 * scale, 1000 * scale - 1), abs=3)


def test_durations_and_positions_are_drawn_where_they_are_recorded(tmp_path):
    look = looked(tmp_path)
    gaze = replace(look.fixations, duration_ms=np.array([100.0, 250, 900]), order=np.array([1.0, 1, 2]))
    *_, duration, order = data_pictures.distributions(replace(look, fixations=gaze))
    assert duration.alt == "Histogram of the duration of a fixation, ms; its median is 250."
    assert order.alt == "Histogram of the position in the trial, from 0; its median is 1."


def test_an_image_that_cannot_be_read_is_grey_and_named(tmp_path):
    look = looked(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no image")
    _, a = data_pictures.examples(look)
    assert f"{tmp_path}/a.png cannot be read as an image: " in a.title
    assert pixels(a).shape == (200, SIDE_PX, 3) and pixels(a)[0, 0].tolist() == [200, 200, 200]


def test_an_overview_is_a_sheet_and_three_distributions(tmp_path):
    sheet, centre, where, people = data_pictures.overview(looked(tmp_path))
    assert pixels(sheet).shape == (SHEET_SIDE_PX, 4 * SHEET_SIDE_PX, 3) and "2 images of two" in sheet.alt
    assert has_colour(pixels(sheet), ORANGE).any()
    mean = "their mean is 0.42 of the width and 0.60 of the height"  # (0.25 + 2 * 0.5) / 3, (0.8 + 2 * 0.5) / 3
    assert mean in centre.alt and mean in where.alt
    assert people.alt == "Fixations of each image: 2 in all, between 1 and 2."
    assert [picture.kind for picture in (sheet, centre, where, people)] == ["jpeg", "svg", "svg", "svg"]


def test_people_are_drawn_where_they_are_known(tmp_path):
    *_, people = data_pictures.distributions(looked(tmp_path, np.array([0, 1, 1])))
    assert people.title == "fixations of each person"
    assert people.alt == "Fixations of each person: 2 in all, between 1 and 2."


def test_a_set_without_a_fixation_can_be_drawn(tmp_path):
    look = looked(tmp_path)
    none = replace(look.dataset, fixations=look.dataset.fixations[:0])
    pictures = data_pictures.overview(look_at(none, Data(source="folder", name="two"), Prior(), 0))
    assert len(pictures) == 4 and "there are none" in pictures[1].alt


def test_no_word_is_cut_off():
    shares, counts = np.random.default_rng(0).random(100_000), np.arange(1, 2000)
    for figure in (
        data_pictures._center_bias_panel(np.full((6, 8), -np.log(48))),
        data_pictures._center_bias_panel(np.full((8, 6), -np.log(48))),
        data_pictures._position_panel(shares, shares),
        data_pictures._value_panel(500 * shares, "duration of a fixation, ms"),
        data_pictures._person_panel(90 * counts),
        data_pictures._image_panel(counts),
    ):
        assert_within(figure)
