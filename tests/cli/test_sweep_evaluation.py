"""The evaluation that follows a sweep that was run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from entreg.cli import sweep_evaluation, sweep_table
from entreg.cli.sweep_table import Sweep
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder, SweepFolder
from entreg.runs.submission import PlannedRun
from tests import several_sets

TINY = ("trainer.epochs=1", "leave_out=synthetic,synthetic_ood", "seed=0", "study=s")


def test_it_is_a_command_of_its_own_even_where_an_experiment_holds_the_sweep(tmp_path):
    jobs = [["experiment=leave_one_set_out", f"seed={seed}"] for seed in (0, 1)]
    assert sweep_evaluation.words_here(jobs, SweepFolder(tmp_path)) == [
        "experiment=leave_one_set_out",
        "task=evaluate",
        f"runs='{tmp_path}'",
        "hydra.mode=RUN",
        "hydra/launcher=basic",
        f"hydra.run.dir='{SweepFolder(tmp_path).evaluation.path}'",
    ]


@pytest.mark.parametrize("evaluates", [True, False])
def test_it_follows_when_all_runs_have_finished(tmp_path, monkeypatch, evaluates):
    jobs = [PlannedRun([], "0"), PlannedRun([], "1")]
    sweep = Sweep(SweepFolder(tmp_path), jobs, evaluates)
    monkeypatch.setattr(sweep_table, "_started", [sweep])
    checkpoint.write(RunFolder(tmp_path / "0").final, {})
    assert sweep_table.to_evaluate() == []
    checkpoint.write(RunFolder(tmp_path / "1").final, {})
    for folder in ("0", "1"):
        run = RunFolder(tmp_path / folder)
        for picture in (run.loss_curves, run.bias_map, run.predictions):
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(b"")
    assert sweep_table.to_evaluate() == ([sweep] if evaluates else [])


@pytest.mark.slow
def test_a_sweep_over_the_sets_that_are_left_out_ends_with_its_page(command, tmp_path):
    words = [word for word in several_sets.words() if not word.startswith("hardware")]
    done = command("-m", *words, *TINY, "hardware=cpu", "hardware.threads=1", "sweep.evaluate=true", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out, mean of 2 sets" in done.stdout
    assert Path(tmp_path / "multirun/s/evaluation/report.html").is_file()
