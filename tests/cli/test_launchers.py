"""The launchers that train the runs of a sweep in groups; whole groups are trained in tests/training."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus

from entreg.cli import launchers
from entreg.cli.execution import JobFailed
from entreg.cli.launchers import Together, TogetherSlurm
from entreg.runs.folder import SweepFolder

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run

SWEEP = [[f"loss={loss}", f"trainer.batch_size={size}"] for loss in ("nll", "nll_entropy") for size in (6, 4)]


@pytest.fixture
def trained(monkeypatch) -> list[list[str]]:
    """The folders of each group that is trained, in order; each run's result is its folder's name."""
    groups = []

    def run(cfgs, train):
        groups.append([cfg.hydra.runtime.output_dir for cfg in cfgs])
        assert all(cfg.hydra.job.name == "train" for cfg in cfgs)  # the log is train.log, see conf/config.yaml
        return [Path(cfg.hydra.runtime.output_dir).name for cfg in cfgs]

    monkeypatch.setattr(launchers, "run_jobs_together", run)
    return groups


def test_each_group_is_trained_and_the_results_come_in_the_order_of_the_jobs(launcher_of, trained, tmp_path):
    launcher = launcher_of("together")
    assert isinstance(launcher, Together)
    returns = launcher.launch(SWEEP, 0)
    assert trained == [[f"{tmp_path}/{number}" for number in group] for group in ((0, 2), (1, 3))]
    assert [job_return.return_value for job_return in returns] == ["0", "1", "2", "3"]
    assert [job_return.overrides for job_return in returns] == SWEEP


def test_a_group_has_at_most_so_many_runs_as_are_asked_for(launcher_of, trained):
    launcher_of("together", "hydra.launcher.runs_per_job=1").launch(SWEEP, 0)
    assert [len(group) for group in trained] == [1, 1, 1, 1]


def test_later_batches_of_a_sweep_go_on_counting(launcher_of, trained, tmp_path):
    launcher_of("together").launch(SWEEP[:2], 5)
    assert trained == [[f"{tmp_path}/5"], [f"{tmp_path}/6"]]


def test_a_run_that_failed_is_told_from_the_others(launcher_of, monkeypatch):
    monkeypatch.setattr(launchers, "run_jobs_together", lambda cfgs, train: [0.5, JobFailed("it broke")])
    good, failed = launcher_of("together").launch(SWEEP[::2], 0)
    assert (good.status, good.return_value, failed.status) == (JobStatus.COMPLETED, 0.5, JobStatus.FAILED)
    with pytest.raises(JobFailed, match="it broke"):
        _ = failed.return_value


def test_on_slurm_a_job_is_submitted_for_each_group(launcher_of, trained, monkeypatch, tmp_path, sbatch):
    """In place of SLURM each job is run here, as submitit calls it in the job."""
    monkeypatch.setattr(launchers.submitit, "JobEnvironment", lambda: type("Environment", (), {"job_id": "77"}))
    monkeypatch.setattr(launchers.Singleton, "set_state", lambda state: None)
    launcher = launcher_of("together_slurm", "hydra.launcher.runs_per_job=2")
    assert isinstance(launcher, TogetherSlurm)
    returns = launcher.launch(SWEEP, 0)
    assert [[job.number for job in group] for group in sbatch] == [[0, 2], [1, 3]]
    assert trained == [[f"{tmp_path}/{number}" for number in group] for group in ((0, 2), (1, 3))]
    assert all(isinstance(job_return, JobReturn) for job_return in returns)
    assert [job_return.return_value for job_return in returns] == ["0", "2", "1", "3"]
    assert {job_return.cfg.hydra.job.id for job_return in returns} == {"77"}
    assert SweepFolder(tmp_path).job_ids() == {0: "77_0", 2: "77_0", 1: "77_1", 3: "77_1"}
