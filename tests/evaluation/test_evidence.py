"""What results are computed from, by training and by fold."""

from __future__ import annotations

import numpy as np

from entreg.evaluation.evidence import Evidence


def table(*values: float) -> list[dict]:
    return [{"nss": value} for value in values]


EVIDENCE = Evidence(
    {"in_domain": [table(1.0, 2.0, 3.0), table(4.0, 5.0, 6.0)], "ood.a": [table(7.0), table(8.0)]}, [2, 1], [], {}, {}
)


def test_in_domain_the_images_of_each_fold_are_a_set_of_their_own():
    values = EVIDENCE.values(["in_domain"], "nss")
    assert values.in_folds and [of_fold.tolist() for of_fold in values.sets] == [[[1, 2], [4, 5]], [[3], [6]]]


def test_out_of_domain_each_set_is_one():
    values = EVIDENCE.values(["ood.a"], "nss")
    assert not values.in_folds and [of_set.tolist() for of_set in values.sets] == [[[7], [8]]]


def test_numbers_of_runs_are_averaged_over_the_folds_of_each_training():
    np.testing.assert_array_equal(EVIDENCE.by_training([1.0, 3.0, 5.0, 9.0]), [2.0, 7.0])
