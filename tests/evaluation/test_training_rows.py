"""Which runs stand in which row, what judges them, and by which of them arms are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from entreg.config import Config
from entreg.data.sources import synthetic
from entreg.errors import UserError
from entreg.evaluation.arms import refuse_missing_folds, refuse_missing_sets
from entreg.evaluation.selection import select_arms
from entreg.evaluation.training_rows import arms_by_rows, baselines_of_rows, cross_validations, judged_on_all_sets
from entreg.losses import losses
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun

ALONE_AND_REST = ("a", "b", "c", "ab", "ac", "bc", "abc")


def of_set(name: str, **settings) -> synthetic.Settings:
    return synthetic.Settings(source="synthetic", name=name, **settings)


def run(learned_from: str, seed: int = 0, leave_out: str | None = None, loss: str = "nll", **settings) -> FinishedRun:
    """A run with sets=[a,b,...]; settings: those of the config."""
    sets = {name: of_set(name) for name in learned_from}
    config = Config(
        data=next(iter(sets.values())), sets=sets, loss=losses()[loss](), seed=seed, study="s", leave_out=leave_out
    )
    words = "_".join(map(str, (learned_from, seed, leave_out, loss, *settings.values())))
    return FinishedRun(RunFolder(Path(words)), replace(config, **settings), {})


def fold(name: str, number: int, seed: int = 0) -> FinishedRun:
    """A run with data=NAME data.fold=NUMBER, of three folds."""
    config = Config(data=of_set(name, folds=3, fold=number), loss=losses()["nll"](), seed=seed, study="s")
    return FinishedRun(RunFolder(Path(f"fold_{name}_{number}_{seed}")), config, {})


def placed(*runs: FinishedRun) -> dict[str, tuple[list[str], bool]]:
    """By the name of the folder, the sets that judge a run as foreign ones, and whether it is one of several folds."""
    return {one.folder.path.name: ([*one.left_out], one.in_folds) for one in judged_on_all_sets(runs)}


def test_each_run_is_judged_on_the_sets_that_it_did_not_learn_from():
    found = placed(*(run(names) for names in ALONE_AND_REST))
    assert [found[f"{names}_0_None_nll"][0] for names in ALONE_AND_REST] == [
        ["b", "c"],
        ["a", "c"],
        ["a", "b"],
        ["c"],
        ["b"],
        ["a"],
        [],
    ]


def test_runs_that_leave_out_one_of_the_same_sets_stay_as_they_are():
    runs = [run("abc", leave_out=name) for name in "abc"]
    assert [one.not_learned for one in judged_on_all_sets(runs)] == [(), (), ()]
    assert [one.trained_on for one in runs] == [("b", "c"), ("a", "c"), ("a", "b")]


def test_a_set_that_was_added_later_judges_the_runs_that_left_out_one_of_the_others():
    runs = [run("abc", leave_out="a"), run("d")]
    assert [settings.name for settings in judged_on_all_sets(runs)[0].not_learned] == ["d"]
    found = placed(*runs)
    assert found == {"abc_0_a_nll": (["a", "d"], False), "d_0_None_nll": (["a", "b", "c"], False)}


def test_the_arms_are_compared_by_the_runs_that_learned_from_all_sets_but_one():
    runs = [
        run(names, seed, loss=loss) for names in ALONE_AND_REST for seed in (0, 1) for loss in ("nll", "nll_entropy")
    ]
    arms, keys = arms_by_rows(judged_on_all_sets(runs))
    assert keys == ["loss.name"]
    assert [(arm.name, arm.row_of) for arm in arms[:2]] == [("nll", None), ("nll_entropy", None)]
    assert arms[0].left_out == ["a", "b", "c"] and arms[0].folds == 3 and arms[0].seeds == [0, 1]
    assert [arm.name for arm in arms[2:6]] == [f"nll, trained on {row}" for row in ("a", "b", "c", "a + b + c")]
    refuse_missing_sets(arms[:2], [])
    without = [one for one in runs if one.folder.path.name != "ab_1_None_nll"]
    with pytest.raises(UserError, match=r"Missing: nll, seed 1: leave_out=c\n"):
        select_arms(without, [])


def test_without_all_sets_but_one_the_arms_are_compared_by_those_that_learned_from_most():
    arms, _ = arms_by_rows(judged_on_all_sets([run("a"), run("b"), run("abc"), run("abc", 1)]))
    assert [(arm.name, len(arm.runs)) for arm in arms] == [
        ("nll", 2),
        ("nll, trained on a", 1),
        ("nll, trained on b", 1),
    ]


def test_other_settings_than_those_of_sets_make_arms_in_all_rows():
    """Models of one set that learned with another blur are no row of the others' arm."""
    blurred = run("a").config.model
    arms, _ = arms_by_rows(
        judged_on_all_sets([run("ab"), run("a"), run("b", model=replace(blurred, sigma_px=5.0)), run("ac"), run("bc")])
    )
    assert {arm.name: [one.trained_on for one in arm.runs] for arm in arms if arm.row_of} == {
        "nll, trained on a": [("a",)],
        "nll_model_sigma_px5, trained on b": [("b",)],
    }


def test_each_row_may_have_its_own_number_of_images_and_one_row_with_several_makes_arms():
    runs = [run("a"), run("b"), *(run("ab", sets_images=images) for images in (4,))]
    assert [arm.name for arm in arms_by_rows(judged_on_all_sets(runs))[0] if not arm.row_of] == ["nll"]
    runs = [run(names, sets_images=images) for names in ("a", "b", "ab") for images in (4, 6)]
    names = {arm.row_of or arm.name for arm in arms_by_rows(judged_on_all_sets(runs))[0]}
    assert names == {"nll_sets_images4", "nll_sets_images6"}


def test_an_arm_has_the_same_baseline_in_all_rows_also_where_it_is_not_compared():
    blurred = replace(run("a").config.model, sigma_px=5.0)
    runs = [run("abc"), run("a"), run("a", loss="nll_entropy"), run("b", loss="nll_entropy")]
    runs += [run("a", loss=loss, model=blurred) for loss in ("nll", "nll_entropy")]
    arms, _ = arms_by_rows(judged_on_all_sets(runs))
    assert [arm.name for arm in arms if arm.row_of is None] == ["nll"]
    assert baselines_of_rows(arms) == {
        "nll_entropy": "nll",
        "nll_entropy_model_sigma_px5": "nll_model_sigma_px5",
    }


def test_a_cross_validation_of_one_set_is_judged_by_its_folds_alone():
    """Beside runs of that set with fewer images."""
    runs = [run("a", sets_images=4), run("b"), run("ab"), *(fold("a", number) for number in range(3))]
    for one in runs[:3]:
        for settings in one.config.sets.values():
            settings.folds = 3
    found = placed(*runs)
    assert found["a_0_None_nll_4"] == (["b"], False)
    assert [found[f"fold_a_{number}_0"] for number in range(3)] == [([], True)] * 3
    arms, _ = arms_by_rows(judged_on_all_sets(runs))
    assert [arm.name for arm in arms][-1] == "nll, trained on a, in folds"
    refuse_missing_folds(cross_validations(arms), [])
    arms, _ = arms_by_rows(judged_on_all_sets(runs[:-1]))
    with pytest.raises(UserError, match=r"Missing: nll, a, seed 0: data\.fold=2\n"):
        refuse_missing_folds(cross_validations(arms), [])


def test_folds_with_other_drawings_of_images_are_no_cross_validation():
    """The same seed of the images in all folds makes one; without sets_images nothing is drawn."""

    def folds(**settings) -> list[FinishedRun]:
        runs = [run("b"), *(run("a", sets_images_seed=seed, **settings) for seed in range(3))]
        for one in runs[1:]:
            one.config.sets["a"].fold = one.config.sets_images_seed
        return runs

    assert [in_folds for _, in_folds in placed(*folds(sets_images=4)).values()] == [False] * 4
    assert [in_folds for _, in_folds in placed(*folds()).values()] == [False, True, True, True]
    same = [replace(one, config=replace(one.config, sets_images_seed=0)) for one in folds(sets_images=4)]
    assert [in_folds for _, in_folds in placed(*same).values()] == [False, True, True, True]


def test_where_nobody_else_learned_from_that_set_alone_the_fold_that_others_validate_on_did():
    runs = [run("ab"), *(fold("a", number) for number in range(3))]
    for settings in runs[0].config.sets.values():
        settings.folds, settings.fold = 3, 1
    found = placed(*runs)
    assert [found[f"fold_a_{number}_0"] for number in range(3)] == [([], True), (["b"], True), ([], True)]


def test_a_set_that_is_read_by_other_settings_is_refused_with_their_names():
    other = run("b")
    other.config.sets["b"].limit = 7
    with pytest.raises(UserError, match=r"^b_0_None_nll reads b by other settings than ab_0_None_nll, .*: limit\n"):
        judged_on_all_sets([run("ab"), other])
