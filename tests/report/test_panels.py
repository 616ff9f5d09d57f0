"""Panels draw the numbers that they are given, where the axes say."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from entreg.report import panels
from entreg.report.panels import Prediction, Range
from tests.report.words_within import assert_within

pytestmark = pytest.mark.painted

UNIFORM = np.full((6, 8), -math.log(48))


def cell(mean: float, ci95=None, over_images=None) -> Range:
    return Range(mean, ci95, over_images)


def prediction(log_density: np.ndarray) -> Prediction:
    image = np.zeros((*log_density.shape, 3), dtype=np.uint8)
    return Prediction("a.png", "nll", image, log_density, np.array([1, 2]), np.array([3, 4]))


def axes_of(figure):
    return figure.axes[0]


def half_uniform() -> np.ndarray:
    """A density that is uniform on the left half, and next to nothing on the right one."""
    p = np.full((6, 8), 1e-12)
    p[:, :4] = 1 / 24
    return np.log(p)


def test_a_uniform_density_has_no_bits_over_it_and_half_of_it_one():
    np.testing.assert_allclose(prediction(UNIFORM).bits_over_uniform, 0, atol=1e-12)
    np.testing.assert_allclose(prediction(half_uniform()).bits_over_uniform[:, :4], 1)


def test_a_shared_scale_holds_all_maps_and_ends_where_nobody_sees_a_difference():
    assert panels.scale_of([prediction(UNIFORM), prediction(half_uniform())]) == pytest.approx((-8, 1))


def test_a_bias_map_is_drawn_as_a_ratio_with_its_entropy():
    axes = axes_of(panels.bias_panel(half_uniform(), greatest=3.0))
    (shown,) = axes.images
    np.testing.assert_allclose(shown.get_array()[:, :4], 2)
    assert shown.get_clim() == (0, 3)
    assert axes.get_title() == f"entropy {math.log(24):.3f} of at most {math.log(48):.3f} nats"


def test_points_above_the_line_are_counted_by_their_numbers():
    axes = axes_of(panels.scatter_panel(np.array([1.0, 2.0, 3.0]), np.array([1.5, 1.0, 3.5]), ("nll", "nll_entropy")))
    (points,) = axes.collections
    assert points.get_offsets().tolist() == [[1, 1.5], [2, 1], [3, 3.5]]
    assert [text.get_text() for text in axes.texts] == ["above the line: 2 of 3 images"]
    assert axes.get_xlim() == axes.get_ylim()


@pytest.mark.parametrize(
    "one, ends",
    [
        (cell(0.2, (0.1, 0.4)), (0.1, 0.4)),
        (cell(0.2, None, (0.0, 0.3)), (0.0, 0.3)),
        (cell(0.2), (0.2, 0.2)),
    ],
)
def test_intervals_are_those_over_images_and_seeds_else_over_images_else_none(one, ends):
    axes = axes_of(panels.difference_panel({"in domain": {"a": one}}))
    segment = axes.collections[0].get_segments()[0]
    assert segment[:, 0] == pytest.approx(ends)


def test_arms_stand_one_below_the_other_and_domains_beside_each_other():
    cells = {"in domain": {"a": cell(0.1), "b": cell(0.2)}, "out of domain": {"a": cell(0.3), "b": cell(0.4)}}
    axes = axes_of(panels.difference_panel(cells))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    drawn = [container[0].get_xydata().tolist() for container in axes.containers]
    assert [[x for x, _ in points] for points in drawn] == [[0.1, 0.2], [0.3, 0.4]]
    assert all(points[1][1] - points[0][1] == pytest.approx(1) for points in drawn)


def test_each_part_of_a_difference_begins_where_the_one_before_ends():
    parts = {"scale": cell(0.3, (0.2, 0.4)), "spread": cell(-0.1, (-0.2, 0.0)), "rest": cell(0.05, None, (-0.1, 0.2))}
    axes = axes_of(panels.waterfall_panel(parts, cell(0.25, (0.1, 0.4))))
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert np.array(bars) == pytest.approx(np.array([(0, 0.3), (0.3, -0.1), (0.2, 0.05), (0, 0.25)]))
    whiskers = [line.get_xdata() for line in axes.lines if line.get_marker() == "|"]
    assert np.array(whiskers) == pytest.approx(np.array([(0.2, 0.4), (0.1, 0.3), (0.1, 0.4), (0.1, 0.4)]))
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "scale\n+0.300 (+0.200 to +0.400)",
        "spread\n\N{MINUS SIGN}0.100 (\N{MINUS SIGN}0.200 to +0.000)",
        "rest\n+0.050 (\N{MINUS SIGN}0.100 to +0.200)",
        "difference\n+0.250 (+0.100 to +0.400)",
    ]


def test_a_quantity_stands_at_its_lambda_with_the_baseline_at_zero():
    curve = {1.0: cell(0.5, (0.4, 0.6)), 0.0: cell(0.2, (0.1, 0.3)), 10.0: cell(0.8, (0.7, 0.9))}
    axes = axes_of(panels.lambda_panel({"": curve}, "IG"))
    assert axes.lines[0].get_xydata().tolist() == [[0, 0.2], [1, 0.5], [10, 0.8]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "10"]
    assert axes.get_xscale() == "symlog" and axes.get_ylabel() == "IG"


def test_a_history_has_a_line_for_each_seed_and_one_name_for_each_arm():
    rows = [{"epoch": epoch, "train_nll_nats": 9.0 - epoch, "validation_nll_nats": 9.5 - epoch} for epoch in (1, 2, 3)]
    keys = ("train_nll_nats", "validation_nll_nats")
    axes = axes_of(panels.history_panel({"nll": [rows, rows], "nll_entropy": [rows]}, keys, "NLL"))
    assert len(axes.lines) == 6 and axes.lines[0].get_xydata().tolist() == [[1, 8], [2, 7], [3, 6]]
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["nll, train", "nll, validation", "nll_entropy, train", "nll_entropy, validation"]
    assert [line.get_linestyle() for line in axes.lines] == ["--", "--", "-", "-", "--", "-"]


def test_a_picture_and_its_density_stand_in_the_same_place_with_the_fixations_on_them():
    shown = prediction(half_uniform())
    image, density = panels.image_panel(shown), panels.density_panel(shown, (-8, 1))
    assert axes_of(image).get_position().bounds == axes_of(density).get_position().bounds
    for figure in (image, density):
        assert axes_of(figure).collections[0].get_offsets().tolist() == [[3, 1], [4, 2]]
    assert axes_of(density).images[0].get_clim() == (-8, 1)


def test_no_word_is_cut_off():
    """Labels of two lines, long names and great numbers."""
    rows = [{"epoch": epoch, "validation_ig_bits_per_fixation": 1.25 + epoch / 1000} for epoch in (1, 2, 3)]
    name = "nll_entropy_lambda0.316_entropy_of_mean"
    few, many = cell(0.03, (0.01, 0.05)), cell(123.456, (-200.0, 300.0))
    shown = prediction(half_uniform())
    for figure in (
        panels.history_panel({"nll": [rows]}, *panels.LOSS_PANELS[1]),
        panels.difference_panel({"out of domain, mean of 2 sets": {name: many}, "left out (crowd100)": {name: few}}),
        panels.waterfall_panel({"spread of the predictions": few, "what is left": few}, few),
        panels.scatter_panel(np.array([1.0, 2.0]), np.array([1.5, 1.0]), ("nll", "nll_entropy_lambda0.316")),
        panels.lambda_panel({"": {0.0: few, 0.1: many}}, "IG out of domain, mean of 2 sets (bit/fixation)"),
        panels.bias_panel(half_uniform(), greatest=3.0),
        panels.density_panel(shown, (-8, 1)),
    ):
        assert_within(figure)


def test_a_figure_becomes_a_picture_on_white():
    figure, _ = panels.blank_panel()
    with Image.open(io.BytesIO(panels.png(figure))) as image:
        assert image.format == "PNG" and image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert image.size == (720, 510)  # 4.8 by 3.4 inches at 150 dots an inch
