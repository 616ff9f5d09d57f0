"""What an evaluation compares; whole evaluations are in tests/tasks."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from entreg.config import Config
from entreg.errors import UserError
from entreg.evaluation import selection
from entreg.results.schema import LeftOut, Plan
from entreg.runs.folder import RunFolder
from tests.evaluation.test_arms import run


def test_the_arms_and_what_is_left_out_are_logged(tmp_path, caplog):
    unfinished = RunFolder(tmp_path)
    unfinished.failure.write_text("out of memory")
    with caplog.at_level("INFO"):
        arms, keys = selection.select_arms([run("nll", 0), run("nll", 1), run("nll_entropy", 0)], [unfinished])
    assert [arm.name for arm in arms] == ["nll", "nll_entropy"] and keys == ["loss.name"]
    assert caplog.messages == [
        f"left out, not finished: {tmp_path} (failed: out of memory)",
        "3 runs, grouped by loss.name into 2 arms: nll (2 trainings), nll_entropy (1 training)",
    ]
    assert selection.left_out([unfinished]) == [LeftOut(str(tmp_path), "failed: out of memory", "out of memory")]


def test_arms_that_were_trained_from_nothing_stay_as_they_are():
    arms, _ = selection.select_arms([run("nll")], [])
    assert selection.with_published(arms, Config()) == arms


@pytest.mark.parametrize(
    "arm, metric, images, is_refused",
    [("a", "sauc", 1, True), ("a", "sauc", 2, False), ("a", "nss", 1, False), (None, "sauc", 1, False)],
)
def test_a_plan_for_shuffled_auc_needs_fixations_on_other_images(arm, metric, images, is_refused):
    plan = Plan(arm, "ood", metric, ["one"], [], None)
    with pytest.raises(UserError, match="^ood.one: one image alone has fixations") if is_refused else nullcontext():
        selection.refuse_unmeasured(plan, {"in_domain": 12, "ood.one": images})


def test_a_published_model_is_refused_beside_a_cross_validation():
    folds = [run("nll") for _ in range(2)]
    for number, fold in enumerate(folds):
        fold.config.data.folds, fold.config.data.fold = 2, number
    arms, _ = selection.select_arms(folds, [])
    with pytest.raises(
        UserError,
        match="but each fold of a cross-validation, and each set that is left out, is",
    ):
        selection.with_published(arms, Config(published=str(Path("x.pth"))))
