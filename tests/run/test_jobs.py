"""Sweeps: what is refused before anything starts, what goes on after a failure, and what the same command resumes."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil

import pytest
import torch
import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from entreg import tasks
from entreg.config import register
from entreg.data.sources import sources
from entreg.losses import losses
from entreg.run import jobs
from entreg.run.folder import SweepFolder, samples_of
from entreg.run.jobs import register_resolvers
from entreg.run.launch import new_study
from entreg.run.provenance import code_version
from tests.conftest import ROOT, SMALL
from tests.environments import python_with
from tests.run import broken

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see jobs.summary

WORDS = (*SMALL, "trainer.epochs=2", "hardware=cpu")
TASKS = "task.name=fail_once,train"


@pytest.fixture
def start(monkeypatch, tmp_path):
    """start(*words): what the callback does before the first job of `python train.py -m *words` is started."""
    register(sources(), losses(), [ROOT / "conf"])
    register_resolvers()
    monkeypatch.setattr(jobs, "_started", [])
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(broken.TASKS / "tasks")])

    def callback(*words: str) -> list[jobs.Sweep]:
        overrides = [f"hydra.sweep.dir={tmp_path}", *words]
        config = GlobalHydra.instance().hydra.compose_config("config", overrides, RunMode.MULTIRUN)
        jobs.Preflight().on_multirun_start(config)
        return jobs._started

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield callback


@pytest.fixture
def refused(start, capsys):
    """refused(*words): the message with which such a sweep is refused."""

    def message(*words: str) -> str:
        with pytest.raises(SystemExit) as caught:
            start(*words)
        assert caught.value.code == 2 and not jobs._started
        return capsys.readouterr().err

    return message


@pytest.fixture(scope="module")
def failed_once(command, tmp_path_factory):
    """A sweep of two runs, the first of which fails in its second epoch; and the same command once more.

    In between the code has changed, as far as the first run's folder knows.
    """
    folder = tmp_path_factory.mktemp("failed")
    words = ("-m", *WORDS, TASKS, "study=twice")
    first = command(*words, folder=folder, more_path=[broken.TASKS])
    finished = (folder / "multirun/twice/1/checkpoints/final.pt").stat().st_mtime_ns
    starts = folder / "multirun/twice/0/provenance.json"
    content = json.loads(starts.read_text())
    content[-1]["code"] = "commit 0123abc"
    starts.write_text(json.dumps(content))
    second = command(*words, folder=folder, more_path=[broken.TASKS])
    return folder / "multirun/twice", first, second, finished


def rows(output: str) -> list[str]:
    """The lines of the table at the end of a sweep."""
    return output[output.index("run  overrides") :].splitlines()


def test_a_failing_run_does_not_stop_the_others_and_the_exit_code_tells(failed_once):
    folder, first, _, _ = failed_once
    assert first.returncode == 1
    table = rows(first.stdout)
    assert re.match(r"0 +task.name=fail_once +failed: ValueError: this rank broke +multirun/twice/0$", table[1])
    assert re.match(r"1 +task.name=train +finished +-?\d\.\d{4} +multirun/twice/1$", table[2])
    assert table[3] == "evaluate with: python train.py task=evaluate 'runs=multirun/twice'"
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


def test_going_on_with_other_code_is_said_and_both_starts_are_kept(failed_once):
    folder = failed_once[0]
    said = f"the code changed since this run was last started: then commit 0123abc, now {code_version()}"
    assert (folder / "0/train.log").read_text().count(said) == 1
    starts = json.loads((folder / "0/provenance.json").read_text())
    assert [start["code"] for start in starts] == ["commit 0123abc", code_version()]
    assert "the code changed" not in (folder / "1/train.log").read_text()


def test_a_folder_with_another_config_is_refused_and_the_keys_are_listed(failed_once, refused, store):
    folder = failed_once[0]
    same = (*WORDS, TASKS, f"hydra.sweep.dir={folder}")
    message = refused(*same, "optim.lr=0.1", "seed=3", "hardware.partition=gpu")
    assert f"{folder}/0 holds a run of another config; these settings differ: optim.lr, seed.\n" in message
    assert message.startswith("job 0 (")


@pytest.mark.parametrize("sweep", ["'[a],[b]'", "'a,b'"])
def test_an_experiments_own_sweep_over_the_foreign_sets_is_refused(refused, sweep):
    message = refused(*WORDS, "experiment=lambda_sweep", f"+hydra.sweeper.params.ood={sweep}")
    assert message.startswith("hydra.sweeper.params: ood=") and "type ood=[a,b]: all foreign sets of one" in message


def test_what_is_free_to_change_is_not_refused(failed_once, start):
    folder = failed_once[0]
    (started,) = start(*WORDS, TASKS, f"hydra.sweep.dir={folder}", "hardware.partition=gpu", "paths.store=elsewhere")
    assert started.folder.path == folder and len(started.jobs) == 2


def test_every_job_is_checked_before_the_first_is_started(refused):
    message = refused("loss.lambda_entropy=1,-1", "ood.synthetic_ood.sigma_px=0")
    assert "job 0" in message and "ood.synthetic_ood.sigma_px=0.0 is out of range" in message
    message = refused("loss.lambda_entropy=1,-1")
    assert message.startswith("job 1 (loss.lambda_entropy=-1): loss.lambda_entropy=-1.0 is out of range")
    assert "at least 0" in message


def test_a_launcher_without_m_is_refused_with_the_right_command(command, tmp_path):
    done = command("loss=nll_entropy", "hydra/launcher=submitit_slurm", folder=tmp_path)
    assert done.returncode == 2
    assert "python train.py -m loss=nll_entropy hydra/launcher=submitit_slurm" in done.stderr
    assert not list(tmp_path.rglob("*.pt"))


def test_without_slurm_one_line_says_what_else_there_is(refused, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    message = refused("loss=nll,nll_entropy", "hydra/launcher=submitit_slurm")
    assert message.startswith("there is no SLURM on this machine (no sbatch).") and message.count("\n") == 1
    assert "hydra/launcher=submitit_local" in message


def test_hardware_cannot_be_swept_on_slurm(refused, start):
    for swept in ("hardware=cpu,cpu4", "hardware.gpus=1,4", "experiment=osie,triage"):
        assert "hardware cannot be swept" in refused(swept, "hydra/launcher=submitit_slurm")
    assert len(start("hardware=cpu,cpu4")[0].jobs) == 2


def test_jobs_do_not_inherit_the_allocation_they_are_submitted_from(start, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(jobs.os, "environ", {"SLURM_JOB_ID": "1", "SLURM_CONF": "conf", "HOME": "home"})
    start("loss=nll,nll_entropy", "hydra/launcher=submitit_slurm", "hardware.cpus=7")
    assert jobs.os.environ == {"SLURM_CONF": "conf", "HOME": "home", "SRUN_CPUS_PER_TASK": "7"}


def test_what_sbatch_is_asked_can_be_typed(start):
    """The examples in conf/hydra/launcher/submitit_slurm.yaml."""
    config = GlobalHydra.instance().hydra.compose_config(
        "config",
        [
            "hydra/launcher=submitit_slurm",
            "hardware.partition=gpu",
            "hardware.account=lab",
            "hardware.constraint=a100",
            "hardware.gpus=null",
            "hydra.launcher.gres=gpu:a100:4",
            "hydra.launcher.qos=high",
            "hydra.launcher.setup=[module load cuda, source venv/bin/activate]",
            "+hydra.launcher.additional_parameters.reservation=course",
        ],
        RunMode.MULTIRUN,
    )
    launcher = config.hydra.launcher
    assert (launcher.partition, launcher.account, launcher.constraint) == ("gpu", "lab", "a100")
    assert (launcher.gpus_per_node, launcher.gres, launcher.qos) == (None, "gpu:a100:4", "high")
    assert list(launcher.setup) == ["module load cuda", "source venv/bin/activate"]
    assert launcher.additional_parameters == {"reservation": "course"}
    assert launcher.max_num_timeout > 0 and launcher.signal_delay_s >= 60


@pytest.mark.parametrize(
    "words, expected",
    [
        (["hardware=gpu4"], (4, 32, 128)),
        (["hardware=gpu4", "task=evaluate"], (1, 8, 32)),
        (["hardware=gpu", "task=evaluate"], (1, 8, 32)),
        (["hardware=cpu", "task=evaluate"], (None, 8, 16)),
        (["hardware=auto", "hardware.gpus=8", "task=evaluate"], (1, 2, 8)),
    ],
    ids=str,
)
def test_of_slurm_is_asked_what_the_task_can_use(start, words, expected):
    config = GlobalHydra.instance().hydra.compose_config(
        "config", ["hydra/launcher=submitit_slurm", *words], RunMode.MULTIRUN
    )
    launcher = config.hydra.launcher
    assert (launcher.gpus_per_node, launcher.cpus_per_task, launcher.mem_gb) == expected


def test_wrong_settings_are_refused_before_the_first_job(refused):
    for word, said in {
        "evaluation.ig_band_bits=[1.0]": "job 0 (loss=nll evaluation.ig_band_bits=[1.0]): evaluation.ig_band_bits=",
        "uniform.levels=[]": "uniform.levels=[] is out of range: give intensities in 0..1",
        "model.backbone.taps=[conv9_1]": "model.backbone.taps=['conv9_1']: ['conv9_1']; VGG-19 has conv1_1, relu1_1",
        "model.backbone.taps=[]": "model.backbone.taps=[]: none given",
        "model.backbone.name=resnet": "job 0 (loss=nll model.backbone.name=resnet): model.backbone.name=resnet: torch",
        "model.backbone.name=resnet18": "['conv5_1', 'relu5_1', 'relu5_2', 'conv5_3', 'relu5_4']; resnet18 has",
        "evaluation.primary.domain=ood.elsewhere": "elsewhere is none of the foreign sets (ood=[synthetic_ood])",
        "+evaluation.primary.arm={loss.nam:nll}": "loss.nam: no loss has such a setting",
        "optim.milestones=[0.2,1.5]": "optim.milestones=[0.2, 1.5] is out of range",
        "task.name=nowhere": "task.name=nowhere: there is no such task; there are evaluate, fail_on_last_rank, ",
        "task.name=os.path": "task.name=os.path: there is no such task; there are evaluate, fail_on_last_rank, ",
        "data.source=nowhere": "data.source=nowhere: there is no such source; there are cat2000_observers, fixation_",
        "ood.synthetic_ood.source=folder": "ood.synthetic_ood.source=folder: the settings of ood.synthetic_ood are not",
        "data.name=${seed.more}": "Error trying to access seed.more",
    }.items():
        message = refused("loss=nll,nll_entropy", word)
        assert said in message and not message.startswith("Traceback")


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
    jobs._warn_of_other_code(sweep)
    assert not caplog.records
    monkeypatch.setattr(jobs, "code_version", lambda: "commit 123")
    jobs._warn_of_other_code(sweep)
    assert "now commit 123" in caplog.text


def test_sweeps_of_one_second_have_folders_of_their_own(start):
    names = {new_study() for _ in range(3)}
    assert len(names) == 3 and len({name.rsplit("-", 1)[0] for name in names}) <= 2


def test_a_place_that_cannot_be_written_is_said_in_a_line(refused):
    message = refused("loss=nll,nll_entropy", "hydra.sweep.dir=/dev/null/sweep")
    assert message == "/dev/null/sweep: cannot be written: Not a directory. Elsewhere: hydra.sweep.dir=FOLDER\n"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC], ids=errno.errorcode.get)
def test_so_is_that_of_a_single_run(tmp_path, start, monkeypatch, capsys, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    config = GlobalHydra.instance().hydra.compose_config("config", [f"hydra.run.dir={tmp_path}/run"], RunMode.RUN)
    jobs.Preflight().on_run_start(config)
    assert list((tmp_path / "run").iterdir()) == []
    monkeypatch.setattr(jobs.tempfile, "TemporaryFile", fail)
    with pytest.raises(SystemExit):
        jobs.Preflight().on_run_start(config)
    said = f"{tmp_path}/run: cannot be written: {os.strerror(number)}. Elsewhere: hydra.run.dir=FOLDER\n"
    assert capsys.readouterr().err == said


OTHER = "hydra.sweeper._target_=optuna.Sweeper"


def test_what_a_sweeper_chooses_by_itself_is_checked_at_the_ends_of_its_intervals(start, refused):
    (sweep,) = start(OTHER, "loss=nll_entropy", "loss.lambda_entropy=tag(log,interval(0.1,10))", "seed=0,1")
    assert sweep.jobs is None
    jobs._started.clear()
    message = refused(OTHER, "loss=nll_entropy", "loss.lambda_entropy=interval(-1,10)")
    assert "job 0 (" in message and "loss.lambda_entropy=-1.0 is out of range" in message
    assert "optim.lr=-1.0 is out of range" in refused(OTHER, "optim.lr=0.1,-1.0")
    message = refused("loss=nll_entropy", "loss.lambda_entropy=interval(0.1,10)")
    assert message.startswith("loss.lambda_entropy=interval(0.1,10): to choose within an interval takes a sweeper")


def test_samples_hold_each_value_once_beside_the_first_of_all_others():
    params = {"loss.lambda_entropy": "interval(1,2)", "seed": "range(3)"}
    assert samples_of(params, ["loss=nll,nll_entropy", "study=a"]) == [
        ["loss.lambda_entropy=1.0", "seed=0", "loss=nll", "study=a"],
        ["loss.lambda_entropy=2.0", "seed=0", "loss=nll", "study=a"],
        ["loss.lambda_entropy=1.0", "seed=1", "loss=nll", "study=a"],
        ["loss.lambda_entropy=1.0", "seed=2", "loss=nll", "study=a"],
        ["loss.lambda_entropy=1.0", "seed=0", "loss=nll_entropy", "study=a"],
    ]


@pytest.mark.slow
def test_optuna_maximises_the_validation_ig_over_lambda(command, tmp_path):
    """Three trials, by Hydra's Optuna sweeper itself, in an environment of its own."""
    sweeper = [f"hydra.sweeper.{word}" for word in ("direction=maximize", "n_trials=3", "n_jobs=1", "sampler.seed=1")]
    done = command(
        "-m",
        "hydra/sweeper=optuna",
        *sweeper,
        *WORDS,
        "loss=nll_entropy",
        "loss.every=1",
        "trainer.epochs=1",
        "loss.lambda_entropy=tag(log,interval(0.1,10))",
        "study=opt",
        folder=tmp_path,
        python=python_with("optuna"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "multirun/opt"
    found = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    lambdas, igs = [], []
    for number in range(3):
        config = yaml.safe_load((folder / f"{number}/.hydra/config.yaml").read_text())
        lambdas.append(config["loss"]["lambda_entropy"])
        with open(folder / f"{number}/metrics.csv") as file:
            igs.append(float(list(csv.DictReader(file))[-1]["validation_ig_bits_per_fixation"]))
    assert len({*lambdas}) == 3 and all(0.1 <= value <= 10 for value in lambdas)
    assert found["best_value"] == pytest.approx(max(igs), abs=1e-12)
    assert found["best_params"] == {"loss.lambda_entropy": pytest.approx(lambdas[igs.index(max(igs))])}
    table = rows(done.stdout)
    assert [line.split()[0] for line in table[1:4]] == ["0", "1", "2"] and "runs=multirun/opt" in table[4]
    assert f"{igs[1]:.4f}" in table[2] and f"loss.lambda_entropy={lambdas[1]}" in table[2]
    assert [one.path.name for one in SweepFolder(folder).trainings()] == ["0", "1", "2"]
