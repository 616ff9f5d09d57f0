"""One process alone writes into a run's folder."""

from __future__ import annotations

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from entreg.cli import sole_writer as module
from entreg.cli import sweep_table
from entreg.cli.sole_writer import WorkedOn, is_left_to_another, is_submitted, sole_writer
from entreg.runs.folder import RunFolder


def hydra(mode: RunMode, sweeper: str = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"):
    return OmegaConf.create({"mode": mode, "overrides": {"task": ["seed=1"]}, "sweeper": {"_target_": sweeper}})


def test_the_first_process_records_what_was_typed_and_a_second_changes_nothing(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.failure.write_text("of an earlier start")
    with sole_writer(folder, hydra(RunMode.RUN)):
        assert folder.read_typed() == ["seed=1"] and not folder.failure.exists()
        with pytest.raises(WorkedOn, match="this process changes nothing there. For a new run type another study=NAME"):
            sole_writer(folder, hydra(RunMode.RUN)).__enter__()
    assert not folder.owner.exists()


def test_what_a_finished_training_was_started_with_stays(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with sole_writer(folder, hydra(RunMode.RUN)):
        folder.final.parent.mkdir()
        folder.final.touch()
    other = hydra(RunMode.RUN)
    other.overrides.task = ["seed=2"]
    with sole_writer(folder, other):
        assert folder.read_typed() == ["seed=1"]


def test_a_job_of_a_sweep_is_left_to_the_process_that_works_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_table, "_left", [])
    folder, error = RunFolder(tmp_path / "0"), WorkedOn("somebody works there")
    assert is_left_to_another(error, folder, hydra(RunMode.MULTIRUN)) and sweep_table._left == [folder]
    assert not is_left_to_another(error, folder, hydra(RunMode.RUN))
    assert not is_left_to_another(ValueError(), folder, hydra(RunMode.MULTIRUN))
    assert not is_left_to_another(error, folder, hydra(RunMode.MULTIRUN, "optuna"))
    monkeypatch.setattr(module, "is_submitted", lambda: True)
    assert not is_left_to_another(error, folder, hydra(RunMode.MULTIRUN))


def test_this_process_is_no_job():
    assert not is_submitted()
