"""The pictures of the page: which arms are drawn, and what the pictures say in words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from entreg.report import panels, pictures
from tests.report.findings import findings

pytestmark = pytest.mark.painted


@pytest.fixture(autouse=True)
def unpainted(monkeypatch):
    """Figures are not painted, which takes seconds."""
    monkeypatch.setattr(panels, "jpeg", lambda figure: b"jpg")
    monkeypatch.setattr(pictures, "svg", lambda figure: b"svg")


def test_of_many_arms_some_are_drawn_the_main_one_among_them():
    arms = ["nll", "a", "b", "c", "d", "e"]
    assert pictures.shown_arms(arms[:4], None) == arms[:4]
    assert pictures.shown_arms(arms, None) == ["nll", "a", "c", "e"]
    assert pictures.shown_arms(arms, "b") == ["nll", "a", "b", "e"]


def test_a_ratio_map_says_how_far_it_is_from_uniform():
    log_density = np.log(np.array([[0.75, 0.25]]) / 1)
    (picture,) = pictures.ratio_maps({"nll": log_density}, "Bias map of {}")
    assert picture.alt == "Bias map of nll: density between 0.50 and 1.50 times the uniform density."
    assert picture.source == "data:image/svg+xml;base64,c3Zn" and picture.title == "nll"


def test_differences_and_waterfalls_say_the_numbers_of_the_results(tmp_path):
    results = findings(tmp_path, parts={"scale": 0.04}).results
    compared = results.comparisons["nll_entropy"].domains["ood.elsewhere"]
    mean = f"{compared.differences['ig_difference_bits'].mean:+.3f}"
    assert f"nll_entropy out of domain (elsewhere) {mean}" in pictures.differences(results).alt
    (waterfall,) = pictures.waterfalls(results, "ood.elsewhere")
    assert f"its baseline, {mean} bit/fixation: " in waterfall.alt
    assert f"scale of the predictions {compared.ladder['scale'].mean:+.3f}" in waterfall.alt
    assert pictures.waterfalls(results, "in_domain") == []


def test_each_image_is_a_point_and_those_above_the_line_are_counted(tmp_path):
    content = findings(tmp_path, gain=0.5)
    ((in_domain, foreign),) = pictures.scatter(content.results, content.per_image)
    assert re.search(
        r"in domain: 24 images, of which nll_entropy has the higher information gain on 24\.", in_domain.alt
    )
    assert foreign.title == "nll_entropy, out of domain (elsewhere)"


def test_lambda_curves_begin_at_the_baseline_and_need_several_lambdas(tmp_path):
    curves = pictures.lambdas(findings(tmp_path / "many", lambdas=(0.0, 0.1, 1.0)).results)
    assert len(curves) == 3  # in domain, out of domain, and the bias map's entropy
    assert all(re.search(r"against lambda\. .*lambda 0: .*lambda 0\.1: .*lambda 1: ", curve.alt) for curve in curves)
    assert pictures.lambdas(findings(tmp_path / "one").results) == []


def test_the_answer_is_drawn_as_its_parts_else_as_its_interval(tmp_path):
    results = findings(tmp_path / "parts", parts={"scale": 0.04}, foreign=2, labels=()).results
    drawn = pictures.answer(results)
    mean = f"{results.answer.difference:+.3f}"
    assert drawn.alt.startswith(f"Parts of the IG difference of nll_entropy to its baseline, {mean} bit/fixation: ")
    assert "each bar begins where the one above it ends" in drawn.caption
    few = findings(tmp_path / "few", images=12, labels=()).results
    mean = f"{few.answer.difference:+.3f}"
    assert pictures.answer(few).alt == (
        f"The difference of nll_entropy to its baseline by IG over the Gaussian prior: {mean}."
    )
    other = findings(tmp_path / "sauc", metric="sauc", labels=()).results
    assert "by shuffled AUC: " in pictures.answer(other).alt
    assert pictures.answer(findings(tmp_path / "alone", lambdas=(1.0,), labels=()).results) is None


def test_all_predictions_of_a_domain_have_one_colour_scale(tmp_path, monkeypatch):
    scales = []
    draw = panels.density_panel
    monkeypatch.setattr(panels, "density_panel", lambda one, scale: scales.append(scale) or draw(one, scale))
    rows = findings(tmp_path).examples["in_domain"]
    shown = pictures.examples(rows, None)
    assert [row["label"] for row in shown] == ["best", "median", "worst"] and len(scales) == 6
    maps = [prediction for _, predicted in rows for prediction in predicted.values()]
    assert {*scales} == {panels.scale_of(maps)}


def test_a_picture_with_axes_is_an_svg_for_light_and_dark_pages_and_a_photo_a_jpeg(tmp_path):
    content = findings(tmp_path, labels=("best",))
    photo, density, _ = pictures.examples(content.examples["in_domain"], None)[0]["pictures"]
    assert photo.source == "data:image/jpeg;base64,anBn" and density.source == "data:image/svg+xml;base64,c3Zn"
