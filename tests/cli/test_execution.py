"""Jobs: what stays in their folders, what goes on after a failure, and what the same command resumes."""

from __future__ import annotations

import csv
import json
import re

import pytest
import torch
import yaml

from entreg.cli import execution
from entreg.runs.folder import SweepFolder
from entreg.runs.provenance import code_version
from tests.cli.conftest import TASKS, WORDS, rows
from tests.environments import python_with


def test_a_failing_run_does_not_stop_the_others_and_the_exit_code_tells(failed_once):
    folder, first, _, _ = failed_once
    assert first.returncode == 1
    table = rows(first.stdout)
    assert re.match(r"0 +task.name=fail_once +failed: ValueError: this rank broke +multirun/twice/0$", table[1])
    assert re.match(r"1 +task.name=train +finished +-?\d\.\d{4} +multirun/twice/1$", table[2])
    assert table[3] == "log of run 0: multirun/twice/0/train.log"
    assert table[4] == "evaluate with: python train.py task=evaluate runs=multirun/twice"
    assert "rank 0 failed:\nTraceback" in first.stderr and f"(run {folder}/0, log {folder}/0/train.log)" in first.stderr


def test_the_same_command_resumes_what_is_unfinished_and_repeats_nothing(failed_once):
    folder, _, second, finished = failed_once
    assert second.returncode == 0, second.stdout + second.stderr
    assert "resumed from" in (folder / "0/train.log").read_text()
    assert (folder / "1/checkpoints/final.pt").stat().st_mtime_ns == finished
    assert not (folder / "0/failure.txt").exists()
    assert [line.split()[0] for line in rows(second.stdout)[1:3] if " finished " in line] == ["0", "1"]
    weights = [torch.load(folder / f"{run}/checkpoints/final.pt", weights_only=True)["model"] for run in (0, 1)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run
def test_a_folder_with_another_config_is_refused_and_the_keys_are_listed(failed_once, refused, store):
    folder = failed_once[0]
    same = (*WORDS, TASKS, f"hydra.sweep.dir={folder}")
    message = refused(*same, "optim.lr=0.1", "seed=3", "hardware.partition=gpu")
    assert f"{folder}/0 holds a run of another config; these settings differ: optim.lr, seed.\n" in message
    assert message.startswith("job 0 (")


@pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run
def test_what_is_free_to_change_is_not_refused(failed_once, start):
    folder = failed_once[0]
    (started,) = start(*WORDS, TASKS, f"hydra.sweep.dir={folder}", "hardware.partition=gpu", "paths.store=elsewhere")
    assert started.folder.path == folder and len(started.jobs) == 2


def test_going_on_with_other_code_is_said_and_both_starts_are_kept(failed_once):
    folder = failed_once[0]
    said = f"the code changed since this run was last started: then commit 0123abc, now {code_version()}"
    assert (folder / "0/train.log").read_text().count(said) == 1
    starts = json.loads((folder / "0/provenance.json").read_text())
    assert [start["code"] for start in starts] == ["commit 0123abc", code_version()]
    assert "the code changed" not in (folder / "1/train.log").read_text()


@pytest.mark.slow
def test_jobs_as_processes_of_this_machine(command, tmp_path):
    done = command("-m", *WORDS, "trainer.epochs=1", "hydra/launcher=submitit_local", "study=local", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"0 +finished +-?\d\.\d{4} +multirun/local/0$", rows(done.stdout)[1])
    assert "the code changed" not in (tmp_path / "multirun/local/0/train.log").read_text()


def test_a_job_is_told_that_the_code_moved_since_its_submission(tmp_path, caplog, monkeypatch):
    sweep = SweepFolder(tmp_path)
    sweep.submitted_code.parent.mkdir()
    sweep.submitted_code.write_text(code_version() + "\n")
    execution.warn_of_other_code(sweep)
    assert not caplog.records
    monkeypatch.setattr(execution, "code_version", lambda: "commit 123")
    execution.warn_of_other_code(sweep)
    assert "now commit 123" in caplog.text


@pytest.mark.slow
def test_optuna_maximises_the_validation_ig_over_lambda(command, tmp_path):
    """Two trials and, by the same command, a third, in an environment of its own."""
    words = "loss=nll_entropy", "loss.every=1", "trainer.epochs=1", "loss.lambda_entropy=tag(log,interval(0.1,10))"
    for trials in (2, 3):
        sweeper = "hydra/sweeper=optuna", f"hydra.sweeper.n_trials={trials}"
        done = command("-m", *sweeper, *WORDS, *words, "study=opt", folder=tmp_path, python=python_with("optuna"))
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("finished before") == 2
    folder = tmp_path / "multirun/opt"
    found = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    lambdas, igs = [], []
    for number in range(3):
        config = yaml.safe_load((folder / f"{number}/.hydra/config.yaml").read_text())
        lambdas.append(config["loss"]["lambda_entropy"])
        with (folder / f"{number}/metrics.csv").open() as file:
            igs.append(float(list(csv.DictReader(file))[-1]["validation_ig_bits_per_fixation"]))
    assert len({*lambdas}) == 3 and all(0.1 <= value <= 10 for value in lambdas)
    assert found["best_value"] == pytest.approx(max(igs), abs=1e-12)
    assert found["best_params"] == {"loss.lambda_entropy": pytest.approx(lambdas[igs.index(max(igs))])}
    table = rows(done.stdout)
    assert [line.split()[0] for line in table[1:4]] == ["0", "1", "2"] and "runs=multirun/opt" in table[4]
    assert f"{igs[1]:.4f}" in table[2] and f"loss.lambda_entropy={lambdas[1]}" in table[2]
    assert [one.path.name for one in SweepFolder(folder).trainings()] == ["0", "1", "2"]


@pytest.mark.slow
def test_a_single_run_says_once_where_it_is_and_what_to_type_next(command, tmp_path):
    """Two ranks train it; the same command again, which finds it finished, says so as well."""
    words = (*WORDS[:-2], "trainer.epochs=1", "hardware=cpu4", "hardware.devices=2", "study=a b")
    for _ in range(2):
        done = command(*words, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("evaluate with: ") == 1
        assert done.stdout.splitlines()[-3:] == [
            "run outputs/a b",
            """evaluate with: python train.py task=evaluate 'runs='"'"'outputs/a b'"'"''""",
            """predict with: python train.py task=predict 'run='"'"'outputs/a b'"'"'' images=FOLDER""",
        ]
