"""Figures for a dark page: black, grey and white change places, colours and pictures stay."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from entreg.report.dark import INK, PAPER, darken, has_words

DARK, LIGHT = (PAPER,) * 3, (INK,) * 3


def test_white_becomes_dark_and_black_light_and_colours_stay():
    figure = Figure()
    axes = figure.subplots()
    (line,) = axes.plot([0, 1], color="black")
    (hue,) = axes.plot([1, 0], color=(0.0, 0.4, 0.7))
    (bar,) = axes.bar(0, 1, color=(0.8, 0.4, 0.0), alpha=0.8)
    dots = axes.scatter([0], [0], c="white", edgecolors="black")
    title = axes.set_title("words")
    darken(figure)
    assert figure.get_facecolor()[:3] == axes.get_facecolor()[:3] == pytest.approx(DARK)
    assert line.get_color()[:3] == title.get_color()[:3] == axes.spines["left"].get_edgecolor()[:3]
    assert line.get_color()[:3] == pytest.approx(LIGHT)
    assert hue.get_color() == (0.0, 0.4, 0.7) and bar.get_facecolor()[:3] == (0.8, 0.4, 0.0)
    assert bar.get_edgecolor()[3] == 0  # it had no edge
    assert np.array_equal(dots.get_facecolor()[0, :3], [1, 1, 1])


def test_a_grey_lies_as_far_between_as_it_did():
    figure = Figure()
    (line,) = figure.subplots().plot([0, 1], color="0.5")
    darken(figure)
    assert line.get_color()[:3] == pytest.approx(((PAPER + INK) / 2,) * 3)


def test_a_picture_without_axes_needs_no_dark_version():
    figure = Figure()
    axes = figure.subplots()
    assert has_words(figure)
    axes.set_axis_off()
    assert not has_words(figure)
