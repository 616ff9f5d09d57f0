"""Runs form arms by whatever differs, the seed aside; each arm finds its baseline."""

from __future__ import annotations

from pathlib import Path

import pytest

from entreg.config import Config, Training
from entreg.data.sources import synthetic
from entreg.errors import UserError
from entreg.evaluation.arms import arms_of, baseline_of, refuse_missing_folds, refuse_missing_sets, result_settings
from entreg.evaluation.differences import Pairing, pairing_of
from entreg.losses import losses
from entreg.results.schema import ONE_ORDER, PAIRED
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun


def run(loss: str, seed: int = 0, epochs: int = 25, **settings) -> FinishedRun:
    data = synthetic.Settings(source="synthetic", name="s")
    loss_settings = losses()[loss](**settings)
    config = Config(data=data, loss=loss_settings, seed=seed, trainer=Training(epochs=epochs), study="s")
    return FinishedRun(RunFolder(Path("x")), config, {})


def names(*runs: FinishedRun) -> dict[str, int]:
    return {arm.name: len(arm.runs) for arm in arms_of(list(runs))[0]}


def test_two_losses_are_two_arms_and_seeds_one():
    assert names(run("nll_entropy"), run("nll"), run("nll", 1), run("nll_entropy", 1)) == {"nll": 2, "nll_entropy": 2}


def test_a_lambda_sweep_is_named_by_lambda_and_zero_is_its_baseline():
    arms, keys = arms_of([run("nll_entropy", s, lambda_entropy=x) for x in (0.0, 0.3, 1.0) for s in (0, 1)])
    assert keys == ["loss.lambda_entropy", "loss.name"]
    assert [arm.name for arm in arms] == ["nll", "nll_entropy_lambda0.3", "nll_entropy_lambda1"]
    assert [arm.is_baseline for arm in arms] == [True, False, False]


def test_lambda_zero_and_nll_are_one_run_and_the_log_says_which_counts(caplog):
    with caplog.at_level("INFO"):
        found = names(run("nll"), run("nll_entropy", lambda_entropy=0.0), run("nll_entropy"))
    assert found == {"nll": 1, "nll_entropy": 1}
    assert "is the same run as" in caplog.text


def test_precision_makes_an_arm_and_what_was_asked_of_slurm_does_not():
    runs = [run("nll"), run("nll"), run("nll", 1)]
    runs[1].config.hardware.precision = "bfloat16"
    runs[2].config.hardware.timeout_min = 7
    assert names(*runs) == {"nll": 2, "nll_hardware_precision_bfloat16": 1}


def test_an_arm_is_named_by_lambda_and_by_what_is_not_at_its_default():
    runs = [
        run("nll"),
        *(run("nll_entropy", lambda_entropy=x, center_bias=c) for x in (1.0, 10.0) for c in ("model", "uniform")),
    ]
    runs += [run(loss) for loss in ("nll", "nll_entropy")]
    for one in runs[-2:]:
        one.config.model.center_bias = "uniform"
    assert list(names(*runs)) == [
        "nll",
        "nll_model_center_bias_uniform",
        "nll_entropy_lambda1",
        "nll_entropy_center_bias_uniform_lambda1",
        "nll_entropy_lambda1_model_center_bias_uniform",
        "nll_entropy_lambda10",
        "nll_entropy_center_bias_uniform_lambda10",
    ]


def test_lists_name_arms_by_their_items():
    runs = [run("nll"), run("nll"), run("nll")]
    runs[1].config.model.per_set, runs[2].config.model.per_set = ["scale"], ["center_bias", "scale"]
    assert [*names(*runs)] == ["nll", "nll_model_per_set_scale", "nll_model_per_set_center_bias+scale"]


def test_mappings_name_arms_by_their_items_whose_order_means_nothing():
    runs = [run("nll", seed) for seed in range(3)]
    for one, settings in zip(runs[1:], ({"a": 0.9, "b": True}, {"b": True, "a": 0.9}), strict=True):
        one.config.optim.settings = settings
    assert names(*runs) == {"nll": 1, "nll_optim_settings_a0.9_optim_settings_b_True": 2}


def test_lambda_makes_no_difference_to_the_baseline():
    assert names(run("nll", lambda_entropy=0.3), run("nll", lambda_entropy=1.0)) == {"nll": 1}


def test_an_arm_is_compared_with_the_baseline_that_differs_by_loss_alone():
    arms, _ = arms_of([run(loss, epochs=e) for loss in ("nll", "nll_entropy") for e in (5, 25)])
    for arm in arms:
        assert baseline_of(arm, arms).settings["trainer.epochs"] == arm.settings["trainer.epochs"]


def test_a_setting_that_the_baseline_shares_has_a_baseline_of_its_own():
    losses, means = ("nll", "nll_entropy"), ("images", "fixations")
    arms, _ = arms_of([run(loss, mean_over=over) for loss in losses for over in means])
    for arm in arms:
        assert baseline_of(arm, arms).settings["loss.mean_over"] == arm.settings["loss.mean_over"]
        assert (baseline_of(arm, arms) is arm) is arm.is_baseline


def test_an_arm_knows_its_seeds_in_order():
    arms, _ = arms_of([run("nll", seed) for seed in (2, 0, 1)])
    assert arms[0].seeds == [0, 1, 2]


def test_without_a_baseline_there_is_none():
    arms, _ = arms_of([run("nll_entropy", lambda_entropy=value) for value in (0.3, 1.0)])
    assert [baseline_of(arm, arms) for arm in arms] == [None, None]


def test_what_changes_no_result_is_no_part_of_an_arm():
    """Where files lie, how they are judged, and what the baseline has no use for."""
    one, other = run("nll").config, run("nll", 3, every=1).config
    other.data.root, other.evaluation.seed, other.data.sigma_px = "/elsewhere", 7, 1.0
    assert result_settings(one) == result_settings(other)
    assert result_settings(run("nll_entropy", lambda_entropy=0.0).config) == result_settings(one)
    assert "loss.every" in result_settings(run("nll_entropy").config) and "loss.every" not in result_settings(one)


def test_one_training_is_a_seed_an_order_seed_and_all_its_folds_in_order():
    def one(loss: str, seed: int, order: int | None, fold: int) -> FinishedRun:
        made = run(loss, seed)
        made.config.trainer.order_seed, made.config.data.folds, made.config.data.fold = order, 2, fold
        return made

    trainings = [(1, 7), (0, 7), (0, None)]
    runs = [one(loss, *training, fold) for loss in ("nll_entropy", "nll") for fold in (1, 0) for training in trainings]
    # the seed's own order, by another name
    arms, _ = arms_of([*runs, one("nll", 0, 0, 1)])
    for arm in arms:
        assert arm.replicates == [(0, 0), (0, 7), (1, 7)] and arm.seeds == [0, 0, 1] and arm.folds == 2
        assert [(r.config.seed, r.config.order_seed, r.config.data.fold) for r in arm.runs] == [
            (0, 0, 0),
            (0, 0, 1),
            (0, 7, 0),
            (0, 7, 1),
            (1, 7, 0),
            (1, 7, 1),
        ]
    assert pairing_of(*arms) == Pairing([0, 1, 2], [0, 1, 2], PAIRED + ONE_ORDER)
    refuse_missing_folds(arms, [])
    with pytest.raises(UserError, match=r"Missing: nll, seed 0, order seed 7: data\.fold=1\n"):
        refuse_missing_folds(arms_of([r for r in runs if r is not runs[7]])[0], [])


def left_out(loss: str, seed: int, name: str | None, sets: str = "abc", **settings) -> FinishedRun:
    made = run(loss, seed)
    made.config.sets = {of_set: synthetic.Settings(source="synthetic", name=of_set, **settings) for of_set in sets}
    made.config.leave_out = name
    return made


def test_one_training_leaves_out_each_set_once():
    runs = [left_out(loss, seed, name) for loss in ("nll", "nll_entropy") for name in "cab" for seed in (1, 0)]
    arms, keys = arms_of(runs)
    assert keys == ["loss.name"]
    for arm in arms:
        assert arm.seeds == [0, 1] and arm.folds == 3 and arm.left_out == ["a", "b", "c"]
        assert [run.config.leave_out for run in arm.runs] == ["a", "b", "c"] * 2
    refuse_missing_sets(arms, [])
    with pytest.raises(UserError, match=r"Missing: nll, seed 0: leave_out=a\n"):
        refuse_missing_sets(arms_of([of_run for of_run in runs if of_run is not runs[3]])[0], [])


def test_other_sets_make_another_arm():
    arms, keys = arms_of([left_out("nll", 0, None), left_out("nll", 0, None, "ab")])
    assert len(arms) == 2 and "sets" in keys


def test_a_cross_validation_over_several_sets_is_refused():
    runs = [left_out("nll", 0, None), left_out("nll", 1, None, fold=1)]
    with pytest.raises(UserError, match=r"differ in sets\.NAME\.fold"):
        refuse_missing_folds(arms_of(runs)[0], [])
