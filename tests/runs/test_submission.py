"""Which job of SLURM runs which runs of a sweep."""

from __future__ import annotations

import pytest

from entreg.runs.submission import PlannedRun, Submission, telling_apart


def test_slurm_numbers_the_tasks_of_an_array_alone():
    assert Submission("7", [[4], [5]]).tasks() == [("7_0", [4]), ("7_1", [5])]
    assert Submission("8", [[0, 2]]).tasks() == [("8", [0, 2])]


@pytest.mark.parametrize(
    "words, expected",
    [(["seed=1"], True), (["task=train"], True), (["task=evaluate"], False), (["task=evaluate", "task=train"], True)],
)
def test_a_job_without_a_task_is_a_training(words, expected):
    assert PlannedRun(words, "0").is_training is expected


def test_words_that_not_all_runs_share_tell_them_apart():
    runs = [PlannedRun(["loss=nll", "seed=0", "study=x"], "0"), PlannedRun(["loss=nll", "seed=1", "study=x"], "1")]
    assert telling_apart(runs) == ["seed=0", "seed=1"]
    assert telling_apart(runs[:1]) == [""] and telling_apart([]) == []
