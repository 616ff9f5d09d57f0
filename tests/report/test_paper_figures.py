"""Figures for a paper have the width that they say, embedded fonts, one colour scale, and their numbers."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from entreg.report import latex, paper_figures
from entreg.report.paper_figures import MM_PER_INCH
from tests.report.findings import findings
from tests.report.words_within import assert_within

pytestmark = pytest.mark.painted


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return findings(tmp_path_factory.mktemp("paper") / "sweep", parts={"scale": 0.03}, labels=("best", "worst"))


@pytest.fixture(scope="module")
def figures(content):
    return {figure.name: figure for figure in paper_figures.figures_of(content.results, content)}


def saved(figure, width_mm: int, kind: str) -> bytes:
    file = io.BytesIO()
    figure.save(file, width_mm, kind)
    return file.getvalue()


def test_every_kind_of_figure_is_there(figures):
    assert list(figures) == [
        "waterfall",
        "matrix",
        "differences",
        "loss_curves",
        "bias_maps",
        "predictions_in_domain",
        "predictions_over_image_in_domain",
        "predictions_ood_elsewhere",
        "predictions_over_image_ood_elsewhere",
    ]


@pytest.mark.parametrize("width_mm", [89, 183])
def test_a_figure_is_as_wide_as_a_column_with_its_fonts_in_it(figures, width_mm):
    """A PDF's box is in points, of which 72 make an inch; a Type 3 font cannot be edited."""
    pdf = saved(figures["waterfall"], width_mm, "pdf")
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) [\d.]+ \]", pdf)
    assert float(box[1]) == pytest.approx(width_mm / MM_PER_INCH * 72, abs=0.1)
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"/Subtype /Type0" in pdf
    with Image.open(io.BytesIO(saved(figures["matrix"], width_mm, "png"))) as image:
        assert image.width == int(width_mm / MM_PER_INCH * 300)
    svg = saved(figures["differences"], width_mm, "svg").decode()
    assert float(re.search(r'<svg [^>]*width="([\d.]+)pt"', svg)[1]) == pytest.approx(width_mm / MM_PER_INCH * 72)
    assert "<text" not in svg  # letters are drawn, so that no font is missing


@pytest.mark.parametrize("width_mm", [89, 183])
def test_no_word_is_cut_off(content, width_mm):
    """Of the names of a lambda sweep, which are long, either."""
    with mpl.rc_context(paper_figures.STYLE):
        for figure in paper_figures.figures_of(content.results, content):
            assert_within(figure.draw(width_mm / MM_PER_INCH), figure.name)


def test_the_same_numbers_give_the_same_bytes(figures):
    for kind in ("pdf", "svg"):
        assert saved(figures["differences"], 89, kind) == saved(figures["differences"], 89, kind)


def test_numbers_are_those_of_the_results(content, figures):
    compared = content.results.comparisons["nll_entropy"].domains["ood.elsewhere"]
    rows = {row["part"]: row for row in figures["waterfall"].numbers}
    assert [row["mean"] for row in rows.values()] == [
        *(compared.ladder[part].mean for part in ("scale", "spread", "centre_bias", "rest")),
        compared.differences["ig_difference_bits"].mean,
    ]
    assert (rows["difference"]["ci95_low"], rows["difference"]["ci95_high"]) == compared.differences[
        "ig_difference_bits"
    ].ci95
    cells = {(row["arm"], row["domain"]): row["mean"] for row in figures["matrix"].numbers}
    nll = content.results.arms["nll"].domains
    assert cells["nll", "in_domain"] == nll["in_domain"].metrics["ig_bits_per_fixation"].mean
    assert len(figures["loss_curves"].numbers) == 2 * 4 * 5  # arms, trainings, epochs
    row = next(row for row in figures["bias_maps"].numbers if (row["y_px"], row["x_px"]) == (16, 24))
    assert row["nll"] == pytest.approx(np.exp(content.bias_maps["nll"][16, 24]) * 36 * 48)
    first = figures["predictions_in_domain"].numbers[0]
    shown = content.examples["in_domain"][0][1]["nll"]
    at = shown.log_density[first["y_px"], first["x_px"]]
    assert first["nll"] == pytest.approx((at + np.log(36 * 48)) / np.log(2))


@pytest.mark.parametrize("name", ["bias_maps", "predictions_in_domain", "predictions_over_image_in_domain"])
def test_maps_that_are_compared_have_one_colour_scale(figures, name):
    drawn = figures[name].draw(5.0)
    scales = {picture.get_clim() for axes in drawn.axes for picture in axes.images if np.ndim(picture.get_array()) == 2}
    assert len(scales) == 1


def test_a_photo_shows_through_a_map_that_lies_over_it(figures):
    drawn = figures["predictions_over_image_in_domain"].draw(5.0)
    counts = [len(axes.images) for axes in drawn.axes if axes.images]
    assert counts == [1, 2, 2] * 2  # the photo, then each arm's map over it, for the best and the worst image


def test_evaluations_stand_side_by_side(content, tmp_path):
    other = findings(tmp_path / "other", gain=0.2, labels=()).results
    figure = paper_figures.side_by_side({"1_a": content.results, "2_b": other})
    means = [row["mean"] for row in figure.numbers]
    assert [row["series"] for row in figure.numbers] == [
        f"{name}, out of domain (elsewhere)" for name in ("1_a", "2_b")
    ]
    assert means == [one.answer.difference for one in (content.results, other)]
    alone = findings(tmp_path / "alone", lambdas=(0.0,), labels=()).results
    assert paper_figures.side_by_side({"1": alone, "2": alone}) is None


def test_a_study_without_parts_has_no_waterfall(tmp_path):
    few = findings(tmp_path / "few", images=12, labels=("best",))
    assert "waterfall" not in [figure.name for figure in paper_figures.figures_of(few.results, few)]


def test_a_domain_that_an_arm_was_not_judged_in_is_left_out(tmp_path):
    content = findings(tmp_path / "sweep", labels=("best",))
    for by_domain in (content.results.arms["nll_entropy"].domains, content.results.comparisons["nll_entropy"].domains):
        del by_domain["in_domain"]
    drawn = {figure.name: figure for figure in paper_figures.figures_of(content.results, content)}
    cells = {(row["arm"], row["domain"]) for row in drawn["matrix"].numbers}
    assert cells == {("nll", "in_domain"), ("nll", "ood.elsewhere"), ("nll_entropy", "ood.elsewhere")}
    assert [row["series"] for row in drawn["differences"].numbers] == ["out of domain (elsewhere)"]
    assert "–" in [text.get_text() for text in drawn["matrix"].draw(5.0).axes[0].texts]
    rows = [line for line in latex.table({"a": content.results}).splitlines() if line.startswith(r"nll\_entropy")]
    assert len(rows) == 1
