"""The matrix of sets on the terminal."""

from __future__ import annotations

import dataclasses

import pytest

from entreg.report import set_tables
from entreg.report.set_tables import bar_rows, share_in_words
from entreg.results.schema import BASELINE, ONE_ORDER
from tests.report.set_matrix import content_of


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return content_of(tmp_path_factory.mktemp("sets") / "sweep").results


def test_a_row_for_what_was_learned_from_and_a_column_for_each_set(results):
    lines = set_tables.terminal(results)
    (head,) = (i for i, line in enumerate(lines) if line.startswith("learned from"))
    assert lines[head].split() == ["learned", "from", "a", "b", "c"]
    names = [line.split("  ")[0].strip() for line in lines[head + 1 : head + 8]]
    assert names == ["a", "b", "c", "all but c", "all but b", "all but a", "all sets"]
    cell = results.matrix.arms["nll"].cells[1]
    assert (cell.trained_on, cell.judged_on) == (["a"], "b")
    assert f"{cell.as_trained.mean:.3f} ({cell.adapted.mean:.3f})" in lines[head + 1]
    assert f"{results.matrix.arms['nll'].cells[0].as_trained.mean:.3f}*" in lines[head + 1]


def test_what_pooling_brings_is_said_with_its_interval(results):
    cell = results.matrix.arms["nll"].pooled_or_single.adapted["mean"]
    line = set_tables.terminal(results)[-1]
    what = "All others pooled minus one other on average, nll, mean of the sets, after the adaptation"
    assert line.startswith(f"{what}: IG {cell.mean:+.4f}")
    assert (
        f"{cell.ci95[0]:+.4f} to {cell.ci95[1]:+.4f}" in line
        and line.endswith("interval.")
        and "exploratory" not in line
    )


def test_arms_are_compared_in_words_by_what_they_learned_from(tmp_path):
    """0.5 bit more where b was not learned from, and as much less where it was: six rows of a mean, none of all."""
    results = content_of(tmp_path / "sweep", BASELINE, main="a").results
    as_trained, adapted = set_tables.against_baseline(results)
    rows = results.matrix.arms["nll_entropy"].against_baseline
    means = {tuple(one.trained_on): f"({one.adapted['mean'].mean:+.4f})" for one in rows}
    assert adapted == (
        "nll_entropy against nll, after the adaptation, p corrected for 6 comparisons: better: "
        f"learned from a {means['a',]}, learned from c {means['c',]}, learned from all but b {means['a', 'c']}; "
        f"worse: learned from b {means['b',]}, learned from all but c {means['a', 'b']}, "
        f"learned from all but a {means['b', 'c']}."
    )
    assert as_trained.startswith("nll_entropy against nll, as trained, p corrected for 6 comparisons: better: learned")
    assert {as_trained, adapted} < {*set_tables.terminal(results)}
    once = content_of(tmp_path / "once", BASELINE, main="a", seeds=(0,)).results
    assert all(", as trained: no verdict: " in line for line in set_tables.against_baseline(once)[:1])


def test_without_another_arm_no_rows_are_compared(results):
    assert set_tables.against_baseline(results) == []


def test_the_share_that_the_adaptation_closes_is_said_or_why_there_is_none(results):
    closed = results.matrix.arms["nll"].bars["a"].closed
    ends = f"95 % interval {closed.ci95[0]:.0%} to {closed.ci95[1]:.0%}"
    assert (
        f"is {closed.gap.mean:+.3f} bit, of which the adaptation closes {closed.share:.0%} ({ends})"
        in share_in_words(closed)
    )
    gap = dataclasses.replace(closed.gap, seeds=closed.gap.seeds + ONE_ORDER)
    order = "the interval does not cover the order of batches, which the trainings of an arm share"
    assert f"({ends}; {order})" in share_in_words(dataclasses.replace(closed, gap=gap))
    without = dataclasses.replace(closed, share=None, ci95=None, why="the gap may be 0")
    assert share_in_words(without).endswith(" bit; no share of it is given, since the gap may be 0.")


def test_the_levels_stand_in_their_order(results):
    rows = bar_rows(results.matrix.arms["nll"].bars["b"])
    assert [name for name, _, _ in rows] == ["ceiling", "pooled", "best_single", "mean_single", "centre_bias"]


def test_without_a_matrix_there_is_nothing(results, tmp_path):
    assert set_tables.terminal(dataclasses.replace(results, matrix=None)) == []
    baseline = content_of(tmp_path / "sweep", BASELINE).results
    assert any(line.startswith("All others pooled") for line in set_tables.terminal(baseline))
