"""The pictures of the matrix of sets: every number that they show, in words, and no word cut off."""

from __future__ import annotations

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from entreg.report import page, paper_figures, set_pictures
from entreg.results.schema import BASELINE, ONE_ORDER
from entreg.results.writing import plain
from entreg.runs.folder import RunFolder
from tests.report.browser import Page, assert_numbers_are_the_results
from tests.report.set_matrix import content_of
from tests.report.words_within import assert_within

pytestmark = pytest.mark.painted


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return content_of(tmp_path_factory.mktemp("sets") / "sweep")


@pytest.fixture(scope="module")
def matrix(content):
    return content.results.matrix


def test_the_pictures_say_what_they_show(matrix):
    cells, levels = set_pictures.page_pictures(matrix, "nll")
    first = matrix.arms["nll"].cells[1]
    said = f"learned from a, judged on b {first.as_trained.mean:.3f}, adapted {first.adapted.mean:.3f}"
    assert said in cells.alt and "learned from all but c" in cells.alt
    assert f"ceiling: the set itself {matrix.arms['nll'].bars['a'].bars['ceiling'].as_trained.mean:.3f}" in levels.alt


def test_every_cell_has_its_number_and_those_in_domain_stand_in_both(matrix):
    axes = Figure().subplots(1, 2)
    set_pictures.draw_matrices(axes, matrix, matrix.arms["nll"])
    for one, kind in zip(axes, ("as_trained", "adapted"), strict=True):
        found = {text.get_position(): text for text in one.texts}
        assert len(found) == 21
        for number, cell in enumerate(matrix.arms["nll"].cells):
            text = found[number % 3, number // 3]
            value = cell.as_trained if cell.in_domain else getattr(cell, kind)
            assert text.get_text() == f"{value.mean:.3f}"
            assert text.get_weight() == ("bold" if cell.in_domain else "normal")


def test_numbers_on_colours_stay_as_they_are_on_a_dark_page(matrix):
    drawing = set_pictures.page_pictures(matrix, "nll")[0].content.decode()
    for colour in (set_pictures.ON_BRIGHT, set_pictures.ON_DIM):
        assert f"fill: {colour}" in drawing


@pytest.mark.parametrize(
    "name, lines",
    [
        ("osie", "osie"),
        ("crowd100_of_two", "crowd100_of_\ntwo"),
        ("etocvd_excluding_200ms", "etocvd_\nexcluding_\n200ms"),
        ("all but osie", "all but osie"),
        ("anameofoneverylongword", "anameofoneverylongword"),
    ],
)
def test_long_names_stand_in_lines(name, lines):
    assert set_pictures.in_lines(name, 12) == lines


def test_bars_are_as_high_as_the_levels(matrix):
    axes = Figure().subplots()
    set_pictures.draw_bars(axes, matrix.arms["nll"])
    heights = sorted(patch.get_height() for patch in axes.patches)
    levels = [bar.as_trained.mean for bars in matrix.arms["nll"].bars.values() for bar in bars.bars.values()]
    assert heights == pytest.approx(sorted(levels)) and len(levels) == 15
    assert "adapted to the set" in axes.get_legend_handles_labels()[1]


def test_the_table_behind_the_pictures_holds_every_number(matrix):
    rows = [*set_pictures.numbers(matrix, "nll")]
    arm = matrix.arms["nll"]
    adapted = sum(cell.adapted is not None for cell in arm.cells)
    assert sum(row["panel"] == "matrix" for row in rows) == 21 + adapted
    (pooled,) = (r for r in rows if (r["panel"], r["judged_on"], r["kind"]) == ("pooled", "a", "adapted"))
    assert (pooled["mean"], pooled["ci95_low"]) == (
        arm.bars["a"].bars["pooled"].adapted.mean,
        arm.bars["a"].bars["pooled"].adapted.ci95[0],
    )


def test_the_answers_picture_is_of_pooled_sets_against_one_where_that_was_planned(content, tmp_path):
    picture = set_pictures.answer(content.results)
    cell = content.results.matrix.arms["nll"].pooled_or_single.adapted["new_set"]
    assert f"adapted to the set, a set not yet seen {cell.mean:+.3f}" in picture.alt
    assert set_pictures.answer(content_of(tmp_path / "sweep", BASELINE).results) is None


@pytest.mark.parametrize("width_mm", [89, 183])
def test_a_paper_gets_one_picture_of_all_of_it(content, width_mm):
    (figure,) = (one for one in paper_figures.figures_of(content.results, content) if one.name == "sets")
    with mpl.rc_context(paper_figures.STYLE):
        drawn = figure.draw(width_mm / paper_figures.MM_PER_INCH)
        assert_within(drawn)
    assert len([axes for axes in drawn.axes if axes.get_ylabel() == "learned from"]) == 2
    assert np.isclose(drawn.get_figwidth() * paper_figures.MM_PER_INCH, width_mm)


def test_the_page_compares_arms_row_by_row_and_says_of_which_row_all_else_is(tmp_path):
    content = content_of(tmp_path / "sweep", BASELINE, main="b")
    page.write(RunFolder(tmp_path), content)
    text = RunFolder(tmp_path).report.read_text()
    assert "Everywhere else on this page the arms are those whose models learned from b." in text
    said = Page(text).text
    assert "It is about models that learned from b; all others are compared below the matrix of sets." in said
    rows = content.results.matrix.arms["nll_entropy"].against_baseline
    for number, one in enumerate(rows):
        at = f"matrix.arms.nll_entropy.against_baseline.{number}"
        shown = {"as_trained.mean": one.as_trained["mean"]} | {
            f"adapted.{key}": one.adapted[key] for key in one.adapted
        }
        assert len(shown) == 2 + 3 - len(one.trained_on)
        for key, cell in shown.items():
            assert f'data-key="{at}.{key}.mean" data-value="{cell.mean}"' in text
        assert f'data-key="{at}.adapted.mean.p_holm"' in text
    table = text[text.index('id="rows"') :].partition("</table>")[0]
    assert table.count('<strong class="better">') == table.count('<strong class="worse">') == 3
    assert (
        "nll_entropy against nll, after the adaptation, p corrected for 6 comparisons: better: learned from a (+"
        in text
    )
    assert "learned from b (−" in text
    assert_numbers_are_the_results(Page(text), plain(content.results))


def test_a_share_of_one_batch_order_says_so_on_the_page(content, tmp_path):
    results = content.results
    arm = results.matrix.arms["nll"]
    closed = arm.bars["a"].closed
    gap = dataclasses.replace(closed.gap, seeds=closed.gap.seeds + ONE_ORDER)
    bars = arm.bars | {"a": dataclasses.replace(arm.bars["a"], closed=dataclasses.replace(closed, gap=gap))}
    matrix = dataclasses.replace(results.matrix, arms={"nll": dataclasses.replace(arm, bars=bars)})
    page.write(RunFolder(tmp_path), dataclasses.replace(content, results=dataclasses.replace(results, matrix=matrix)))
    said = "the interval does not cover the order of batches, which the trainings of an arm share"
    assert RunFolder(tmp_path).report.read_text().count(said) == 1


def test_the_page_shows_matrix_levels_share_and_what_pooling_brings(content, tmp_path):
    page.write(RunFolder(tmp_path), content)
    text = RunFolder(tmp_path).report.read_text()
    assert 'id="sets"' in text and "The primary outcome was named before the runs were trained" in text
    arm = content.results.matrix.arms["nll"]
    for key, value in (
        ("matrix.arms.nll.cells.1.as_trained.mean", arm.cells[1].as_trained.mean),
        ("matrix.arms.nll.bars.a.bars.pooled.adapted.mean", arm.bars["a"].bars["pooled"].adapted.mean),
        ("matrix.arms.nll.bars.a.closed.share", arm.bars["a"].closed.share),
        ("matrix.arms.nll.pooled_or_single.adapted.mean.mean", arm.pooled_or_single.adapted["mean"].mean),
        ("answer.difference", arm.pooled_or_single.adapted["mean"].mean),
    ):
        assert f'data-key="{key}" data-value="{value}"' in text
    assert "nll, learned from a + b" in text and text.count("a_b/0") > 0
    assert_numbers_are_the_results(Page(text), plain(content.results))
