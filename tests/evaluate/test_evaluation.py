"""What an evaluation says of the runs that it is given; a whole one is in tests/tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from entreg.config import Config
from entreg.errors import UserError
from entreg.evaluate import evaluation
from entreg.evaluate.results import LeftOut
from entreg.run.folder import RunFolder
from tests.evaluate.test_arms import run


def test_the_arms_and_what_is_left_out_are_logged(tmp_path, caplog):
    unfinished = RunFolder(tmp_path)
    unfinished.failure.write_text("out of memory")
    with caplog.at_level("INFO"):
        arms, keys = evaluation.arms([run("nll", 0), run("nll", 1), run("nll_entropy", 0)], [unfinished])
    assert [arm.name for arm in arms] == ["nll", "nll_entropy"] and keys == ["loss.name"]
    assert caplog.messages == [
        f"left out, not finished: {tmp_path} (failed: out of memory)",
        "3 runs, grouped by loss.name into 2 arms: nll (2 trainings), nll_entropy (1 training)",
    ]
    assert evaluation.left_out([unfinished]) == [LeftOut(str(tmp_path), "failed: out of memory", "out of memory")]


def test_arms_that_were_trained_from_nothing_stay_as_they_are():
    arms, _ = evaluation.arms([run("nll")], [])
    assert evaluation.with_published(arms, Config()) == arms


def test_a_published_model_is_refused_beside_a_cross_validation():
    folds = [run("nll") for _ in range(2)]
    for number, one in enumerate(folds):
        one.config.data.folds, one.config.data.fold = 2, number
    arms, _ = evaluation.arms(folds, [])
    with pytest.raises(UserError, match="published=FILE is one model, and each fold of a cross-validation is"):
        evaluation.with_published(arms, Config(published=str(Path("x.pth"))))
