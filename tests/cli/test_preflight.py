"""What is refused before the first job of a sweep, or a single run, starts."""

from __future__ import annotations

import errno
import os
import shlex
import shutil

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from entreg.cli import preflight, sweep_table
from entreg.cli.preflight import Preflight
from tests.cli.conftest import WORDS
from tests.conftest import ROOT

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run


@pytest.mark.parametrize("sweep", ["'[a],[b]'", "'a,b'"])
def test_an_experiments_own_sweep_over_the_foreign_sets_is_refused(refused, sweep):
    message = refused(*WORDS, "experiment=lambda_sweep", f"+hydra.sweeper.params.ood={sweep}")
    assert message.startswith("hydra.sweeper.params: ood=") and "type ood=[a,b]: all foreign sets of one" in message


def test_every_job_is_checked_before_the_first_is_started(refused):
    message = refused("loss.lambda_entropy=1,-1", "ood.synthetic_ood.sigma_px=0")
    assert "job 0" in message and "ood.synthetic_ood.sigma_px=0.0 is out of range" in message
    message = refused("loss.lambda_entropy=1,-1")
    assert message.startswith("job 1 (loss.lambda_entropy=-1): loss.lambda_entropy=-1.0 is out of range")
    assert "at least 0" in message


def test_the_documented_sweep_over_few_photos_holds_each_out_once(start):
    """Of docs/data.md: two arms, two seeds and five folds."""
    (line,) = (line for line in (ROOT / "docs/data.md").read_text().splitlines() if "data.folds=5" in line)
    words = shlex.split(line)
    assert words[:3] == ["python", "train.py", "-m"]
    (started,) = start(*words[3:])
    assert len(started.jobs) == 20 and {"data.fold=4", "seed=1", "loss=nll_entropy"} <= {*started.jobs[-1].words}


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
        assert "`hardware` cannot be swept" in refused(swept, "hydra/launcher=submitit_slurm")
    assert len(start("hardware=cpu,cpu4")[0].jobs) == 2


def test_wrong_settings_are_refused_before_the_first_job(refused):
    for word, said in {
        "evaluation.ig_band_bits=[1.0]": "job 0 (loss=nll evaluation.ig_band_bits=[1.0]): evaluation.ig_band_bits=",
        "uniform.levels=[]": "uniform.levels=[] is out of range: give intensities in 0..1",
        "model.backbone.taps=[conv9_1]": "model.backbone.taps=['conv9_1']: ['conv9_1']; VGG-19 has conv1_1, relu1_1",
        "model.backbone.taps=[]": "model.backbone.taps=[]: none given",
        "model.backbone.name=resnet": "job 0 (loss=nll model.backbone.name=resnet): model.backbone.name=resnet: torch",
        "model.backbone.name=resnet18": "['conv5_1', 'relu5_1', 'relu5_2', 'conv5_3', 'relu5_4']; resnet18 has",
        "evaluation.primary.domain=ood.elsewhere": "elsewhere is not a foreign set of this study (ood=[synthetic_ood])",
        "+evaluation.primary.arm={loss.nam:nll}": "loss.nam: no loss has such a setting",
        "optim.milestones=[0.2,1.5]": "optim.milestones=[0.2, 1.5] is out of range",
        "task.name=nowhere": "task.name=nowhere: there is no such task; there are evaluate, fail_on_last_rank, ",
        "task.name=os.path": "task.name=os.path: there is no such task; there are evaluate, fail_on_last_rank, ",
        "data.source=nowhere": "data.source=nowhere: this source does not exist; there are cat2000_observers, ",
        "ood.synthetic_ood.source=folder": "ood.synthetic_ood.source=folder: the settings of ood.synthetic_ood belong",
        "data.name=${seed.more}": "Error trying to access seed.more",
    }.items():
        message = refused("loss=nll,nll_entropy", word)
        assert said in message and not message.startswith("Traceback")


def test_a_place_that_cannot_be_written_is_said_in_a_line(refused):
    message = refused("loss=nll,nll_entropy", "hydra.sweep.dir=/dev/null/sweep")
    assert (
        message
        == "/dev/null/sweep: cannot be written: Not a directory. Choose another folder with hydra.sweep.dir=FOLDER\n"
    )


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC], ids=errno.errorcode.get)
def test_so_is_that_of_a_single_run(tmp_path, start, monkeypatch, capsys, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    config = GlobalHydra.instance().hydra.compose_config("config", [f"hydra.run.dir={tmp_path}/run"], RunMode.RUN)
    Preflight().on_run_start(config)
    assert list((tmp_path / "run").iterdir()) == []
    monkeypatch.setattr(preflight.tempfile, "TemporaryFile", fail)
    with pytest.raises(SystemExit):
        Preflight().on_run_start(config)
    said = (
        f"{tmp_path}/run: cannot be written: {os.strerror(number)}. Choose another folder with hydra.run.dir=FOLDER\n"
    )
    assert capsys.readouterr().err == said


OTHER = "hydra.sweeper._target_=optuna.Sweeper"


def test_what_a_sweeper_chooses_by_itself_is_checked_at_the_ends_of_its_intervals(start, refused):
    (sweep,) = start(OTHER, "loss=nll_entropy", "loss.lambda_entropy=tag(log,interval(0.1,10))", "seed=0,1")
    assert sweep.jobs is None
    sweep_table._started.clear()
    message = refused(OTHER, "loss=nll_entropy", "loss.lambda_entropy=interval(-1,10)")
    assert "job 0 (" in message and "loss.lambda_entropy=-1.0 is out of range" in message
    assert "optim.lr=-1.0 is out of range" in refused(OTHER, "optim.lr=0.1,-1.0")
    message = refused("loss=nll_entropy", "loss.lambda_entropy=interval(0.1,10)")
    assert message.startswith("loss.lambda_entropy=interval(0.1,10): only a sweeper that chooses")


SUBMIT = ("loss=nll,nll_entropy", "hydra/launcher=submitit_slurm")


def test_each_job_is_planned_with_the_folder_that_hydra_will_give_it(start, tmp_path):
    (sweep,) = start("seed=5,6")
    assert sweep.jobs == [(["seed=5"], "0"), (["seed=6"], "1")]
    sweep_table._started.clear()
    (sweep,) = start("seed=5,6", "hydra.sweep.subdir=s${seed}")
    assert sweep.jobs == [(["seed=5"], "s5"), (["seed=6"], "s6")] and sweep.folder.read_jobs() == sweep.jobs
    assert [folder.path.name for folder in sweep.folder.trainings()] == ["s5", "s6"]


def test_two_jobs_never_share_a_folder(refused):
    message = refused("seed=5,6", "loss=nll,nll_entropy", "hydra.sweep.subdir=s${seed}")
    assert message.startswith("hydra.sweep.subdir: the jobs 0 and 1 would share the folder s5; ")


@pytest.mark.parametrize(
    "subdir, said", [("${hydra.job.id}", "known before the job starts"), ("../${seed}", "must lie below the folder")]
)
def test_a_folder_that_nobody_could_find_again_is_refused(refused, subdir, said):
    assert said in refused("seed=5,6", f"hydra.sweep.subdir={subdir}")


def test_limits_are_compared_before_anything_is_submitted(refused, commands, tmp_path):
    commands.say("sbatch")
    commands.say("scontrol", "PartitionName=short Default=YES MaxTime=01:00:00\n")
    message = refused(*SUBMIT, "hardware.timeout_min=61")
    assert message.startswith("hardware.timeout_min=61 is above the limit of the partition short, 60 minutes")
    message = refused(*SUBMIT, "hardware.timeout_min=3")
    assert message.startswith("hardware.timeout_min=3: a job of 180 s is asked to stop 120 to 150 s before its end")
    assert not commands.calls("sbatch") and not (tmp_path / "jobs.json").exists()


def test_memory_need_not_be_asked_for(start, commands):
    commands.say("sbatch")
    (sweep,) = start(*SUBMIT, "hardware.memory_gb=null")
    assert len(sweep.jobs) == 2


def test_the_folder_of_the_jobs_logs_is_made_and_written_to(refused, commands):
    """Where it is missing, SLURM fails a job without a word."""
    commands.say("sbatch")
    message = refused(*SUBMIT, "hydra.launcher.submitit_folder=/dev/null/logs")
    assert message.startswith("/dev/null/logs: cannot be written: Not a directory. Choose another folder with hydra.la")


def test_a_dry_run_shows_the_jobs_and_the_script_and_does_nothing(start, commands, capsys, tmp_path):
    for name in ("sbatch", "srun", "scontrol"):
        commands.say(name, "MaxArraySize = 2\n")
    with pytest.raises(SystemExit) as caught:
        start(*SUBMIT, "seed=0,1", "trainer.epochs=3", "sweep.dry_run=true", "study=arms")
    assert caught.value.code == 0 and not sweep_table._started and list(tmp_path.iterdir()) == []
    head, *jobs, script = capsys.readouterr().out.split("\n", 5)
    assert head == f"4 jobs of train in {tmp_path}; nothing was started"
    assert jobs[1] == "  1: loss=nll seed=1" and "epochs" not in jobs[1]
    assert "#SBATCH --job-name=entreg-arms\n" in script and "#SBATCH --array=0-1%2\n" in script
    assert "#SBATCH --requeue\n" in script and not commands.calls("sbatch")


def test_less_than_one_job_at_once_is_refused(refused, start):
    local = ("loss=nll,nll_entropy", "hydra/launcher=submitit_local")
    assert refused(*local, "hydra.launcher.parallelism=0").startswith(
        "hydra.launcher.parallelism=0: at least 1, or null"
    )
    assert len(start(*local, "hydra.launcher.parallelism=1")[0].jobs) == 2


def test_only_slurm_can_be_left_alone_with_jobs(refused):
    assert "needs hydra/launcher=submitit_slurm" in refused("seed=0,1", "sweep.detach=true")
