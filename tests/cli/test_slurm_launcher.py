"""The launcher of SLURM, with stand-ins for sbatch and squeue: nothing twice, nothing for ever, all in a line."""

from __future__ import annotations

import pytest
from hydra.core.utils import JobReturn, JobStatus

from entreg.cli import slurm_launcher, sweep_table
from entreg.cli.execution import JobFailed
from entreg.cli.slurm_launcher import Slurm
from entreg.runs.folder import SweepFolder
from entreg.runs.submission import Submission

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run

SWEEP = [[f"seed={seed}"] for seed in range(5)]


@pytest.fixture
def launcher(launcher_of, monkeypatch):
    """The launcher, whose jobs return their words."""

    def run(self, jobs, state):
        ((number, words),) = jobs
        return JobReturn(overrides=words, status=JobStatus.COMPLETED, _return_value=(number, words))

    monkeypatch.setattr(Slurm, "_run", run)
    monkeypatch.setattr(slurm_launcher, "most_tasks", lambda: None)
    monkeypatch.setattr(slurm_launcher, "wait", lambda jobs: {})
    return launcher_of("submitit_slurm")


def test_each_job_is_one_task_and_its_id_is_recorded(launcher, sbatch, tmp_path):
    assert isinstance(launcher, Slurm)
    returns = launcher.launch(SWEEP, 0)
    assert [one.return_value for one in returns] == [(number, words) for number, words in enumerate(SWEEP)]
    assert SweepFolder(tmp_path).submissions() == [Submission("77", [[0], [1], [2], [3], [4]])]


def test_an_array_is_cut_at_the_greatest_size(launcher, sbatch, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm_launcher, "most_tasks", lambda: 2)
    returns = launcher.launch(SWEEP, 0)
    assert [one.return_value[0] for one in returns] == [0, 1, 2, 3, 4]
    assert [one.runs for one in SweepFolder(tmp_path).submissions()] == [[[0], [1]], [[2], [3]], [[4]]]


def test_jobs_in_the_queue_are_named_and_left_alone(launcher, sbatch, tmp_path, commands, capsys):
    """Of an earlier submission 1 waits and 3 runs; 0 has ended, and SLURM has forgotten 2."""
    SweepFolder(tmp_path).add_submission(Submission("66", [[0], [1], [2], [3]]))
    commands.say("squeue", "66_0|FAILED|None|n\n66_1|PENDING|Priority|\n66_3|RUNNING|None|n\n9|RUNNING|None|n\n")
    results = []

    def wait(jobs):
        results.extend(job.job_id for job in jobs)
        return {"66_1": "CANCELLED", "66_3": "CANCELLED"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slurm_launcher, "wait", wait)
        returns = launcher.launch(SWEEP, 0)
    assert "2 of 5 jobs are in the queue already and are not submitted again: 66_1 66_3" in capsys.readouterr().out
    assert [job.overrides for (job,) in sbatch] == [SWEEP[0], SWEEP[2], SWEEP[4]]
    assert sorted(results) == ["66_1", "66_3", "77_0", "77_1", "77_2"]
    assert [one.status is JobStatus.FAILED for one in returns] == [False, True, False, True, False]


def test_where_slurm_does_not_answer_nothing_is_submitted(launcher, sbatch, tmp_path, commands, capsys):
    SweepFolder(tmp_path).add_submission(Submission("66", [[0]]))
    commands.say("squeue", "", 1, "Socket timed out")
    with pytest.raises(SystemExit) as caught:
        launcher.launch(SWEEP, 0)
    assert caught.value.code == 2 and sbatch == []
    assert capsys.readouterr().err == "SLURM does not answer (squeue: Socket timed out)\n"


@pytest.mark.parametrize(
    "state, why",
    [
        ("LOST", "it is lost: SLURM no longer knows it, and it left no outcome"),
        ("PREEMPTED", "another job took its place, and this partition cancels such jobs instead of requeueing them"),
        ("OUT_OF_MEMORY", "it needed more memory than it had asked for (hardware.memory_gb)"),
    ],
)
def test_a_job_that_was_ended_from_outside_fails_and_says_how(launcher, sbatch, tmp_path, monkeypatch, state, why):
    monkeypatch.setattr(slurm_launcher, "wait", lambda jobs: {"77_1": state})
    good, ended, *_ = launcher.launch(SWEEP, 0)
    assert good.status is JobStatus.COMPLETED
    with pytest.raises(JobFailed, match=r"^job 77_1: ") as caught:
        _ = ended.return_value
    assert why in str(caught.value) and "the same command goes on with it" in str(caught.value)
    assert why[:60] in SweepFolder(tmp_path).run(1).state_in_words


def test_ctrl_c_ends_the_waiting_alone_and_says_how_to_look(launcher, sbatch, monkeypatch, capsys, tmp_path):
    def interrupted(jobs):
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm_launcher, "wait", interrupted)
    sweep_table.announce(None)
    with pytest.raises(SystemExit) as caught:
        launcher.launch(SWEEP, 0)
    assert caught.value.code == 130 and not sweep_table._started
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert said.startswith("The jobs go on. ") and " status runs=" in said and " cancel runs=" in said


def test_a_detached_sweep_is_submitted_and_not_waited_for(launcher_of, launcher, sbatch, monkeypatch, capsys):
    monkeypatch.setattr(slurm_launcher, "wait", None)  # it would fail
    returns = launcher_of("submitit_slurm", "sweep.detach=true").launch(SWEEP, 0)
    assert len(sbatch) == 5 and [one.return_value for one in returns] == [None] * 5
    said = capsys.readouterr().out
    assert "submitted 5 jobs: 77" in said and " status runs=" in said and " cancel runs=" in said
