"""Runs form arms by whatever differs, the seed aside; each arm finds its baseline."""
from __future__ import annotations

from pathlib import Path

import pytest

from entreg.config import Config, Loss, Synthetic, Trainer
from entreg.errors import UserError
from entreg.evaluate.comparison import compare
from entreg.evaluate.runs import Run, arms_of, baseline_of


def run(loss: str, seed: int = 0, epochs: int = 25, **settings) -> Run:
    config = Config(
        data=Synthetic(_target_="entreg.data.synthetic.load", name="s"), loss=Loss(name=loss, **settings), seed=seed,
        trainer=Trainer(epochs=epochs), study="s",
    )
    return Run(Path("x"), config, {})


def names(*runs: Run) -> dict[str, int]:
    return {arm.name: len(arm.runs) for arm in arms_of(list(runs))[0]}


def test_two_losses_are_two_arms_and_seeds_one():
    assert names(run("nll_entropy"), run("nll"), run("nll", 1), run("nll_entropy", 1)) == {"nll": 2, "nll_entropy": 2}


def test_a_lambda_sweep_is_named_by_lambda_and_zero_is_its_baseline():
    arms, keys = arms_of([run("nll_entropy", s, lambda_entropy=x) for x in (0.0, 0.3, 1.0) for s in (0, 1)])
    assert keys == ["loss.lambda_entropy"]
    assert [arm.name for arm in arms] == ["nll_entropy_lambda0", "nll_entropy_lambda0.3", "nll_entropy_lambda1"]
    assert [arm.is_baseline for arm in arms] == [True, False, False]


def test_lambda_makes_no_difference_to_the_baseline():
    assert names(run("nll", lambda_entropy=0.3), run("nll", lambda_entropy=1.0)) == {"nll": 1}


def test_an_arm_is_compared_with_the_baseline_that_differs_by_loss_alone():
    arms, _ = arms_of([run(loss, epochs=e) for loss in ("nll", "nll_entropy") for e in (5, 25)])
    for arm in arms:
        assert baseline_of(arm, arms).settings["trainer.epochs"] == arm.settings["trainer.epochs"]


def test_arms_on_different_images_are_an_error_not_an_intersection():
    arms, _ = arms_of([run("nll"), run("nll_entropy")])
    rows = {arm.name: {"ood": [[{"image": n, "ig_bits_per_fixation": 1.0 * k} for k, n in enumerate(images)]]}
            for arm, images in zip(arms, (["a", "b"], ["a", "c"]))}
    with pytest.raises(UserError, match="c"):
        compare(arms, rows, {arm.name: {"bias_entropy_nats": 1.0} for arm in arms}, 100, 0)


def test_without_a_baseline_nothing_is_compared():
    arms, _ = arms_of([run("nll_entropy", lambda_entropy=x) for x in (0.3, 1.0)])
    rows = {arm.name: {"ood": [[{"image": "a", "ig_bits_per_fixation": 1.0}]]} for arm in arms}
    assert compare(arms, rows, {arm.name: {"bias_entropy_nats": 1.0} for arm in arms}, 100, 0) == {}
