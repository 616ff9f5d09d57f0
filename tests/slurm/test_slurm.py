"""Sweeps on a real SLURM: what users type, what fails, and what is interrupted. Minutes; pytest -m slurm."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from entreg.runs.folder import SweepFolder
from tests.conftest import ROOT
from tests.slurm.cluster import wait_for
from tests.slurm.conftest import EPOCHS

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

TIMING = ("images_per_s", "seconds")


@pytest.fixture(scope="module")
def timed_out(submit, tmp_path_factory):
    """A run that waits in the build of its features until its time limit, while the other tests go on."""
    store = tmp_path_factory.mktemp("unbuilt")
    words = ("task.name=wait_in_build", f"paths.store={store}", "hardware.timeout_min=4")
    return submit(*words, "hydra.launcher.signal_delay_s=120", "hardware.partition=high")


@pytest.fixture(scope="module")
def undisturbed(timed_out, submit):
    """Both arms, four ranks each; GPUs are granted, and not needed."""
    sweep = submit("loss=nll,nll_entropy", "hardware.gpus=2", "study=arms", "sweep.evaluate=true")
    return sweep, *sweep.finished()


def test_a_sweep_of_two_arms_on_four_ranks(undisturbed):
    sweep, code, output = undisturbed
    assert code == 0, output
    for run, arm in enumerate(("nll", "nll_entropy")):
        about = sweep.ended(run)
        assert about["JobState"] == "COMPLETED" and about["NumTasks"] == "1" and about["NumCPUs"] == "4"
        log = (sweep.folder / f"{run}/train.log").read_text()
        assert f"{arm} on 4 cpu rank(s)" in log
        assert log.count(f"epoch {EPOCHS}/{EPOCHS}:") == 1
        assert "the code changed" not in log
    table = output.splitlines()[-4:]
    assert table[0].split() == ["run", "overrides", "state", "validation", "IG", "(bit/fix)", "folder"]
    assert re.match(r"0 +loss=nll +finished +-?\d\.\d{4} +\S+/0$", table[1])
    assert re.match(r"1 +loss=nll_entropy +finished +-?\d\.\d{4} +\S+/1$", table[2])
    assert table[3] == f"evaluate with: python train.py task=evaluate runs={sweep.folder}"


def test_what_is_asked_of_sbatch(undisturbed):
    """What is null is not asked for; srun gets its CPUs, which it would not inherit."""
    array = undisturbed[0].job(0).partition("_")[0]
    script = (undisturbed[0].folder / f".submitit/{array}_submission.sh").read_text()
    asked = dict(re.findall(r"#SBATCH --([\w-]+)=(\S+)", script))
    assert asked["gpus-per-node"] == "2" and asked["cpus-per-task"] == "4" and asked["mem"] == "2GB"
    assert asked["signal"] == "USR2@120" and asked["ntasks-per-node"] == "1"
    assert not {"partition", "account", "constraint", "gres"} & set(asked)
    assert "/.submitit/" in asked["output"] and asked["job-name"] == "entreg-arms"
    assert "#SBATCH --requeue\n" in script and "wckey" not in asked
    for err in (undisturbed[0].folder / ".submitit").glob("*.err"):
        assert "Warning" not in err.read_text()


def test_interrupted_runs_end_as_undisturbed_ones(undisturbed, submit):
    """Two sweeps at once: runs warned by USR2, requeued, and preempted by another's job, each in its third epoch."""
    expected = undisturbed[0].folder
    task = "task.name=wait_in_training"
    # the high partition is not preempted; the low one's run holds all GPUs, which another's job wants
    both = submit(task, "loss=nll,nll_entropy", "hardware.partition=high")
    preempted = submit(task, "loss=nll_entropy", "hardware.gpus=4")
    disturbances = {
        (both, 0): lambda: both.slurm("scancel", "--signal=USR2", both.job(0)),
        (both, 1): lambda: both.slurm("scontrol", "requeue", both.job(1)),
        (preempted, 0): lambda: preempted.slurm(
            "sbatch", "--partition=high", "--gpus-per-node=4", "--wrap=sleep 2", "--output=/dev/null"
        ),
    }
    pending = dict(disturbances)

    def disturb() -> bool:
        for sweep, run in list(pending):
            if sweep.waits(run):
                pending.pop((sweep, run))()
        return not pending

    wait_for(disturb, 400, "all runs are in the middle")
    for sweep in (both, preempted):
        code, output = sweep.finished()
        assert code == 0, output
    for sweep, run in disturbances:
        assert int(sweep.shown(run)["Restarts"]) >= 1
        log = (sweep.folder / f"{run}/train.log").read_text()
        assert "resumed from" in log
        # a requeue kills at once or after a last SIGTERM, as SLURM pleases: only the others must have had time to save
        if (sweep, run) != (both, 1):
            assert "asked to stop: saved" in log, log
    assert_same_to_the_bit(both.folder / "0", expected / "0")
    assert_same_to_the_bit(both.folder / "1", expected / "1")
    assert_same_to_the_bit(preempted.folder / "0", expected / "1")


def test_one_command_ends_in_a_page(undisturbed):
    """The evaluation is a job that waits for all others. It asks for what it uses, half of a node of two GPUs here."""
    sweep, code, output = undisturbed
    assert code == 0 and f"evaluation: {sweep.folder}/evaluation" in output, output
    results = json.loads((sweep.folder / "evaluation/results.json").read_text())
    assert list(results["arms"]) == ["nll", "nll_entropy"] and results["comparison"]["arm"] == "nll_entropy"
    assert not results["left_out"] and (sweep.folder / "evaluation/report.html").is_file()
    (job,) = SweepFolder(sweep.folder).evaluations()
    script = (sweep.folder / f".submitit/{job}_submission.sh").read_text()
    asked = dict(re.findall(r"#SBATCH --([\w-]+)=(\S+)", script))
    assert (asked["gpus-per-node"], asked["cpus-per-task"]) == ("1", "2")
    array = sweep.job(0).partition("_")[0]
    assert asked["dependency"] == f"afterany:{array}"


def test_the_status_of_a_sweep_that_has_finished(undisturbed):
    sweep = undisturbed[0]
    shown = subprocess.run(
        (sys.executable, "train.py", "status", "--json", f"runs={sweep.folder}"),
        cwd=ROOT,
        env=sweep.environment,
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    runs = json.loads(shown.stdout)["runs"]
    assert [(run["state"], run["job"]) for run in runs] == [("finished", sweep.job(0)), ("finished", sweep.job(1))]
    for number, run in enumerate(runs):
        last = float(history(sweep.folder / str(number))[-1]["validation_ig_bits_per_fixation"])
        assert run["validation_ig_bits_per_fixation"] == last


def test_a_failing_rank_fails_its_job_and_no_other(submit):
    sweep = submit("task.name=train,fail_on_last_rank", "trainer.epochs=1", "hardware.devices=2")
    code, output = sweep.finished()
    assert code == 1
    assert "rank 1 failed:\nTraceback" in output and "ValueError: this rank broke" in output
    assert f"(run {sweep.folder}/1, log {sweep.folder}/1/train.log)" in output
    assert "ValueError: this rank broke" in (sweep.folder / "1/train.log").read_text()
    failed = sweep.ended(1)
    assert failed["JobState"] == "FAILED" and failed["ExitCode"] == "1:0"
    assert sweep.ended(0)["JobState"] == "COMPLETED" and (sweep.folder / "0/checkpoints/final.pt").is_file()
    table = output.splitlines()
    assert any(re.match(r"0 +task.name=train +finished +-?\d\.\d{4}", line) for line in table)
    assert any(re.match(r"1 +task.name=fail_on_last_rank +failed: ValueError: this rank broke", line) for line in table)


def test_runs_that_are_trained_together_are_one_job(undisturbed, submit):
    """Four runs of two batch orders: two jobs, in each of which both arms take their steps side by side."""
    sweep = submit("loss=nll,nll_entropy", "seed=0,1", "hardware.devices=2", launcher="together_slurm")
    code, output = sweep.finished()
    assert code == 0, output
    assert len([*(sweep.folder / ".submitit").glob("*_0_result.pkl")]) == 2
    for run, arm in enumerate(("nll", "nll", "nll_entropy", "nll_entropy")):
        log = (sweep.folder / f"{run}/train.log").read_text()
        assert f"{arm} on 2 cpu rank(s)" in log and log.count(f"epoch {EPOCHS}/{EPOCHS}:") == 1
        assert "2 runs are trained together" in log
    for run, expected in ((0, 0), (2, 1)):
        ours, theirs = (
            torch.load(folder / "checkpoints/final.pt", weights_only=True)["model"]
            for folder in (sweep.folder / str(run), undisturbed[0].folder / str(expected))
        )
        for name, value in theirs.items():
            torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-5)


def test_a_time_out_in_the_middle_of_a_store_build_is_requeued_and_gone_on_with(timed_out):
    """SLURM's own signal, two minutes before the limit; without it the run would wait until it is killed."""
    code, output = timed_out.finished()
    assert "resource_tracker" not in next((timed_out.folder / ".submitit").glob("*.err")).read_text()
    assert code == 0, output
    log = (timed_out.folder / "0/train.log").read_text()
    assert int(timed_out.shown(0)["Restarts"]) >= 1
    assert log.count("features: asked to stop; the next run continues the build") >= 1
    assert log.count("an interrupted build is continued") >= 1 and log.count(f"epoch {EPOCHS}/{EPOCHS}:") == 1


def history(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in TIMING} for row in csv.DictReader(file)]


def assert_same_to_the_bit(run: Path, expected: Path) -> None:
    ours, theirs = (torch.load(r / "checkpoints/final.pt", weights_only=True)["model"] for r in (run, expected))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert history(run) == history(expected)
    assert len(history(run)) == EPOCHS
