"""Which runs are judged."""

from __future__ import annotations

import logging
import os

import pytest
from omegaconf import OmegaConf

from entreg.errors import DataError, UserError
from entreg.evaluation.find_runs import find
from entreg.runs.folder import SweepFolder


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
    assert [folder.path.name for folder in finished] == ["1"]
    assert [folder.path.name for folder in left_out] == ["0", "2"]


def test_without_any_run_it_is_said_what_to_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"python train.py -m loss=nll,nll_entropy"):
        find(None)
    with pytest.raises(UserError, match=r"runs=nowhere: there is no such folder"):
        find("nowhere")
    with pytest.raises(UserError, match=r"runs=nowhere: there is no such folder"):
        find([str(tmp_path), "nowhere"])


def test_several_folders_are_listed_and_each_run_counts_once(tmp_path):
    for name in ("a", "b", "c"):
        run = SweepFolder(tmp_path / name).run(0)
        run.config.parent.mkdir(parents=True)
        run.final.parent.mkdir()
        run.config.write_text("task: {name: train}")
        run.final.touch()
    finished, left_out = find([str(tmp_path / "c"), str(tmp_path / "[ac]")])
    assert [folder.path for folder in finished] == [tmp_path / "c/0", tmp_path / "a/0"] and not left_out


def test_a_typed_task_is_a_training_where_it_says_so(tmp_path):
    """`task=train` may be typed, and an evaluation that was swept is no training that is left out."""
    for name, words in (("a", ["task=train"]), ("b", ["task=evaluate", "runs=x"])):
        (tmp_path / name).mkdir()
        saved = {"sweeper": {"params": {"seed": "0,1"}}, "overrides": {"task": words}}
        OmegaConf.save({"hydra": saved}, tmp_path / name / "multirun.yaml")
    with pytest.raises(UserError, match="there is no finished training .2 unfinished."):
        find(str(tmp_path / "a"))
    with pytest.raises(UserError, match="there is no finished training .0 unfinished."):
        find(str(tmp_path / "b"))


def test_the_newest_sweep_is_so_by_what_its_runs_recorded_whatever_the_dates_of_its_files(tmp_path, monkeypatch):
    """`unrecorded` is as version 0.2.0 left it, with a file from the future."""
    monkeypatch.chdir(tmp_path)
    for name, started, dated in (("old", 1, 4_000_000_000), ("new", 2, 1), ("unrecorded", None, 4_000_000_000)):
        run = SweepFolder(tmp_path / "multirun" / name).run(0)
        run.config.parent.mkdir(parents=True)
        run.final.parent.mkdir()
        run.config.write_text("task: {name: train}")
        run.final.touch()
        os.utime(run.final, (dated, dated))
        if started is not None:
            run.add_start({"started": f"2026-01-01T00:00:0{started}+00:00"})
    (newest,), _ = find(None)
    assert newest.path.parent.name == "new"


def test_a_sweep_that_cannot_be_read_is_named_and_keeps_nobody_from_the_others(tmp_path, monkeypatch, caplog):
    good = tmp_path / "multirun/good/0"
    (good / ".hydra").mkdir(parents=True)
    (good / "checkpoints").mkdir()
    (good / ".hydra/config.yaml").write_text("task: {name: train}")
    (good / "checkpoints/final.pt").touch()
    broken = tmp_path / "multirun/broken/0/.hydra/config.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("task: {name: ")
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING):
        finished, _ = find(None)
    assert [str(found) for found in finished] == ["multirun/good/0"]
    assert "multirun/broken/0/.hydra/config.yaml: cannot be read as YAML" in caplog.text
    with pytest.raises(DataError, match="cannot be read as YAML"):
        find("multirun/broken")
