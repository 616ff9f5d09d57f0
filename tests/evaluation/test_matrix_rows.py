"""The rows of the matrix of sets, from planted scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from entreg.evaluation.matrix_rows import ArmRows, Judged, RowScores, adapted, as_trained, mean_of, shared
from tests.evaluation.judged_sets import ROWS, SETS, judged


def level(row: tuple[str, ...], name: str) -> float:
    """0.1 for each set that was learned from, and 1 more where it is the judged one."""
    return 0.1 * len(row) + (name in row)


@pytest.fixture
def rows() -> ArmRows:
    return ArmRows(judged(level))


def test_rows_stand_by_the_number_of_their_sets(rows):
    assert rows.rows == list(ROWS) and rows.sets == {*SETS}


def test_each_row_names_its_runs_once(rows):
    runs = rows.runs()
    assert [*runs] == [" + ".join(row) for row in ROWS] and runs["a + b"] == ["a_b/0", "a_b/1", "a_b/2"]


def test_each_cell_is_the_mean_of_its_row_on_its_set(rows):
    """In domain the first four of twelve images judge, whose effects -1, -9/11, -7/11, -5/11 are -8/11 on average."""
    found = {(tuple(cell.trained_on), cell.judged_on): cell for cell in rows.cells(SETS)}
    assert len(found) == 21
    for (row, name), cell in found.items():
        own = name in row
        assert cell.as_trained.mean == pytest.approx(level(row, name) - (8 / 11 if own else 0))
        assert (cell.as_trained.n_images, cell.as_trained.n_seeds) == ((4 if own else 12), 3)
        assert cell.in_domain == own and not cell.in_folds and cell.training_images == [30]
        assert cell.adapted is None if own else cell.adapted.mean == pytest.approx(level(row, name) + 0.5)


def test_a_row_without_a_ladder_has_none(rows):
    some = [dataclasses.replace(one, adapted=None) if one.replicate == (1, 1) else one for one in judged(level)]
    assert all(cell.adapted is None for cell in ArmRows(some).cells(SETS))


def test_numbers_of_training_images_that_differ_are_both_ends():
    some = [dataclasses.replace(one, training_images=30 + one.replicate[0]) for one in judged(level)]
    assert ArmRows(some).training_images(("a",), "left_out.b") == [30, 32]


def test_the_folds_of_a_cross_validation_are_one_training():
    """Three folds of two images, each judged by the model that left it out; another seed lacks nothing."""
    folds = [
        Judged(
            f"fold{i}",
            ("a",),
            (seed, seed),
            "folds.a",
            [f"a{i}", f"a{i + 1}"],
            np.array([i, i + 1.0]) + seed,
            None,
            np.zeros(2),
            9,
        )
        for seed in (0, 1)
        for i in (0, 2, 4)
    ]
    rows = ArmRows([*judged(level), *folds])
    table = rows.table(("a",), "folds.a", as_trained)
    assert table.values.tolist() == [[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]]
    (cell,) = (cell for cell in rows.cells(SETS) if (cell.trained_on, cell.judged_on) == (["a"], "a"))
    assert cell.in_folds and cell.as_trained.mean == pytest.approx(3.0) and cell.training_images == [9]


def test_what_there_is_none_of_is_none(rows):
    assert rows.table(("a",), "left_out.a", as_trained) is None
    assert rows.table(("a", "d"), "left_out.b", as_trained) is None
    assert rows.table(("a",), "in_domain.a", adapted) is None


def test_a_mean_of_tables_is_over_what_all_have():
    first = RowScores([(0, 0), (1, 1)], ["x", "y"], np.array([[1.0, 2.0], [3.0, 4.0]]))
    second = RowScores([(1, 1), (2, 2)], ["y", "x", "z"], np.array([[10.0, 20.0, 30.0], [0.0, 0.0, 0.0]]))
    found = mean_of([first, second])
    assert (found.replicates, found.images, found.values.tolist()) == ([(1, 1)], ["x", "y"], [[11.5, 7.0]])
    assert mean_of([first, None]) is None and mean_of([]) is None
    assert mean_of([first, RowScores([(5, 5)], ["x"], np.zeros((1, 1)))]) is None
    assert shared([[3, 1, 2], [2, 3]]) == [3, 2]
