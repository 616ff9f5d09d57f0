"""The jobs that the words of a sweep make."""

from __future__ import annotations

import pytest

from entreg.errors import SettingError
from entreg.runs import sweep_words
from entreg.runs.sweep_words import is_basic, jobs_of, samples_of


def test_samples_hold_each_value_once_beside_the_first_of_all_others():
    params = {"loss.lambda_entropy": "interval(1,2)", "seed": "range(3)"}
    assert samples_of(params, ["loss=nll,nll_entropy", "study=a"]) == [
        ["loss.lambda_entropy=1.0", "seed=0", "loss=nll", "study=a"],
        ["loss.lambda_entropy=2.0", "seed=0", "loss=nll", "study=a"],
        ["loss.lambda_entropy=1.0", "seed=1", "loss=nll", "study=a"],
        ["loss.lambda_entropy=1.0", "seed=2", "loss=nll", "study=a"],
        ["loss.lambda_entropy=1.0", "seed=0", "loss=nll_entropy", "study=a"],
    ]


def test_jobs_are_all_combinations_in_hydras_order():
    assert jobs_of({"seed": "0,1"}, ["loss=nll,nll_entropy", "study=a"]) == [
        [f"seed={seed}", f"loss={loss}", "study=a"] for seed in (0, 1) for loss in ("nll", "nll_entropy")
    ]


def test_a_sweep_of_too_many_jobs_is_refused_without_counting_them(monkeypatch):
    monkeypatch.setattr(sweep_words, "MOST_JOBS", 3)
    assert len(jobs_of({}, ["seed=0,1,2"])) == 3
    with pytest.raises(SettingError, match=r"^seed=range\(1000000000\): this sweep has more than 3 jobs$"):
        jobs_of({}, ["seed=range(1000000000)"])


def test_an_interval_needs_a_sweeper_that_chooses():
    with pytest.raises(SettingError, match="only a sweeper that chooses values itself can choose within an interval"):
        jobs_of({}, ["optim.lr=interval(0,1)"])


def test_hydras_own_sweeper_is_known_by_its_name():
    assert is_basic({}) and is_basic({"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"})
    assert not is_basic({"_target_": "hydra_plugins.entreg.optuna"})
