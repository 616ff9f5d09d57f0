"""What is verified; what each change is named by is in tests/tasks/test_verify.py."""

from __future__ import annotations

import pytest

from entreg.errors import UserError
from entreg.evaluation import verification
from entreg.io import sums
from entreg.runs.folder import RunFolder


def made(folder, runs=None) -> RunFolder:
    place = RunFolder(folder)
    place.add_start({"version": "0.3.0", "runs": runs} if runs is not None else {"version": "0.3.0"})
    place.results.write_text("{}")
    return place


def test_without_a_finished_training_there_is_nothing_to_verify(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        verification.found("nowhere")


def test_evaluations_below_outputs_are_found_by_the_runs_that_they_were_made_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = RunFolder(tmp_path / "run")
    run.final.parent.mkdir(parents=True)
    run.final.write_text("checkpoint")
    run.config.parent.mkdir()
    run.config.write_text("task: {name: train}")
    ours = made(tmp_path / "outputs/ours", {str(run): "0" * 64})
    made(tmp_path / "outputs/others", {"/elsewhere": "0" * 64})
    found, folders = verification.found("run")
    assert [folder.path.resolve() for folder in found] == [run.path]
    assert [folder.path.resolve() for folder in folders] == [ours.path]
    sums.write(ours.sums, sums.sums_of(ours.path, [ours.results]))
    assert verification.of_made(ours) == [f"{ours}: {run.final} is not the checkpoint that it was made of"]


def test_what_an_earlier_version_made_cannot_be_verified(tmp_path):
    place = made(tmp_path)
    assert verification.of_made(place) == [f"{place}: there is no SHA256SUMS, so that it cannot be verified"]
