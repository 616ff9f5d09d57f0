"""Runs form arms by whatever differs, the seed aside; each arm finds its baseline."""
from __future__ import annotations

from pathlib import Path

import pytest

from omegaconf import OmegaConf

from entreg.config import Config, Evaluation, Loss, Synthetic, Trainer
from entreg.errors import UserError
from entreg.evaluate.comparison import band, compare
from entreg.evaluate.runs import Run, arms_of, baseline_of, find

ENTROPY = {"bias_entropy_nats": 1.0, "bias_entropy_without_center_bias_nats": 2.0}


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
    assert keys == ["loss.lambda_entropy", "loss.name"]
    assert [arm.name for arm in arms] == ["nll", "nll_entropy_lambda0.3", "nll_entropy_lambda1"]
    assert [arm.is_baseline for arm in arms] == [True, False, False]


def test_lambda_zero_and_nll_are_one_run_and_the_log_says_which_counts(caplog):
    with caplog.at_level("INFO"):
        assert names(run("nll"), run("nll_entropy", lambda_entropy=0.0), run("nll_entropy")) == {"nll": 1, "nll_entropy": 1}
    assert "is the same run as" in caplog.text


def test_precision_makes_an_arm_and_what_was_asked_of_slurm_does_not():
    runs = [run("nll"), run("nll"), run("nll", 1)]
    runs[1].config.hardware.precision = "bfloat16"
    runs[2].config.hardware.timeout_min = 7
    assert names(*runs) == {"nll_hardware.precisionfloat32": 2, "nll_hardware.precisionbfloat16": 1}


def test_lambda_makes_no_difference_to_the_baseline():
    assert names(run("nll", lambda_entropy=0.3), run("nll", lambda_entropy=1.0)) == {"nll": 1}


def test_an_arm_is_compared_with_the_baseline_that_differs_by_loss_alone():
    arms, _ = arms_of([run(loss, epochs=e) for loss in ("nll", "nll_entropy") for e in (5, 25)])
    for arm in arms:
        assert baseline_of(arm, arms).settings["trainer.epochs"] == arm.settings["trainer.epochs"]


def test_a_setting_that_the_baseline_shares_has_a_baseline_of_its_own():
    arms, _ = arms_of([run(loss, mean_over=over) for loss in ("nll", "nll_entropy") for over in ("images", "fixations")])
    for arm in arms:
        assert baseline_of(arm, arms).settings["loss.mean_over"] == arm.settings["loss.mean_over"]
        assert (baseline_of(arm, arms) is arm) is arm.is_baseline


def test_arms_on_different_images_are_an_error_not_an_intersection():
    arms, _ = arms_of([run("nll"), run("nll_entropy")])
    rows = {arm.name: {"ood": [[{"image": n, "ig_bits_per_fixation": 1.0 * k} for k, n in enumerate(images)]]}
            for arm, images in zip(arms, (["a", "b"], ["a", "c"]))}
    with pytest.raises(UserError, match="c"):
        compare(arms, rows, {arm.name: ENTROPY for arm in arms}, 100, 0)


def test_spread_over_seeds_is_of_the_same_seeds(caplog):
    arms, _ = arms_of([run("nll", 0), run("nll", 1), run("nll_entropy", 0), run("nll_entropy", 1)])
    rows = {arm.name: {"ood": [[{"image": n, "ig_bits_per_fixation": k * i + j} for j, n in enumerate("ab")]
                               for i in range(2)]} for k, arm in zip((1.0, 3.0), arms)}
    same = compare(arms, rows, {arm.name: ENTROPY for arm in arms}, 100, 0)["nll_entropy"]["ood"]["ig_difference_bits"]
    # seed 0 differs by 0, seed 1 by 2
    assert same["mean"] == 1 and same["std_over_seeds"] == pytest.approx(2**0.5) and same["n_seeds"] == 2
    arms, _ = arms_of([run("nll", 0), run("nll", 1), run("nll_entropy", 0), run("nll_entropy", 2)])
    other = compare(arms, rows, {arm.name: ENTROPY for arm in arms}, 100, 0)["nll_entropy"]["ood"]["ig_difference_bits"]
    assert other["mean"] == 1 and other["std_over_seeds"] is None
    assert "nll_entropy has seeds [0, 2], nll has [0, 1]" in caplog.text


def test_entropy_increases_with_and_without_the_centre_bias_by_hand():
    arms, _ = arms_of([run("nll"), run("nll_entropy")])
    rows = {arm.name: {"ood": [[{"image": "a", "ig_bits_per_fixation": 1.0}]]} for arm in arms}
    ours = {"bias_entropy_nats": 1.25, "bias_entropy_without_center_bias_nats": 1.8}
    found = compare(arms, rows, {"nll": ENTROPY, "nll_entropy": ours}, 100, 0)["nll_entropy"]
    assert found["bias_entropy_increase_percent"] == pytest.approx(25)
    assert found["bias_entropy_without_center_bias_increase_nats"] == pytest.approx(-0.2)
    assert found["bias_entropy_without_center_bias_increase_percent"] == pytest.approx(-10)


@pytest.mark.parametrize("name, limit, ig, expected", [
    ("s", None, 1.0, "inside"), ("s", None, 2.1, "outside"), ("other", None, 1.0, "not applicable"),
    ("s", 40, 1.0, "not applicable"),
])
def test_a_band_speaks_of_its_whole_data_set_alone(name, limit, ig, expected):
    baseline = arms_of([run("nll")])[0][0]
    config = baseline.runs[0].config
    assert band(baseline, {})["verdict"] == "not applicable"
    config.evaluation = Evaluation(ig_band_bits=[0.5, 2.0], ig_band_data="s", ig_band_prior="kde", ig_band_source="me")
    config.data.name, config.data.limit = name, limit
    assert band(baseline, {"ig_kde_bits_per_fixation": {"mean": ig}})["verdict"] == expected


def test_runs_that_are_not_even_started_are_known_from_their_sweep(tmp_path):
    """Job 1 is finished, job 0 is still building its store, job 2 waits for a machine."""
    (tmp_path / "1/.hydra").mkdir(parents=True)
    (tmp_path / "1/checkpoints").mkdir()
    (tmp_path / "1/.hydra/config.yaml").write_text("task: {name: train}")
    (tmp_path / "1/checkpoints/final.pt").touch()
    (tmp_path / "0").mkdir()
    sweep = {"sweeper": {"params": {"seed": "0,1,2"}}, "overrides": {"task": ["loss=nll"]}}
    OmegaConf.save({"hydra": sweep}, tmp_path / "multirun.yaml")
    finished, left_out = find(str(tmp_path))
    assert [folder.name for folder in finished] == ["1"] and [folder.name for folder in left_out] == ["0", "2"]


def test_without_a_baseline_nothing_is_compared():
    arms, _ = arms_of([run("nll_entropy", lambda_entropy=x) for x in (0.3, 1.0)])
    rows = {arm.name: {"ood": [[{"image": "a", "ig_bits_per_fixation": 1.0}]]} for arm in arms}
    assert compare(arms, rows, {arm.name: ENTROPY for arm in arms}, 100, 0) == {}
