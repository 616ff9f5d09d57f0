"""The evaluation of a sweep on SLURM, with stand-ins for sbatch and squeue: once, and once more if it is overtaken."""

from __future__ import annotations

import itertools

import pytest
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
from submitit import SlurmJob

from entreg.cli import slurm_evaluation, slurm_launcher
from entreg.cli.slurm_evaluation import Evaluation
from entreg.cli.slurm_jobs import Job
from entreg.cli.submission import plain_params
from entreg.errors import UserError
from entreg.runs.folder import SweepFolder
from entreg.runs.submission import PlannedRun, Submission

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run

SWEEP = [[f"seed={seed}"] for seed in range(5)]


def test_the_evaluation_waits_for_all_jobs_and_is_submitted_once(launcher_of, monkeypatch, tmp_path, commands):
    """Two arrays of runs; the evaluation asks for the share of a node that one GPU is."""
    monkeypatch.setattr(slurm_launcher, "most_tasks", lambda: 3)
    commands.say("squeue", "")
    asked, arrays = [], itertools.count(77)

    def submit(params, function, arguments, mark):
        asked.append((params, arguments))
        array = next(arrays)
        return [SlurmJob(tmp_path, f"{array}_{i}" if len(arguments) > 1 else f"{array}") for i in range(len(arguments))]

    for module in (slurm_launcher, slurm_evaluation):
        monkeypatch.setattr(module, "submit", submit)
    detached = launcher_of("submitit_slurm", "sweep.evaluate=true", "sweep.detach=true")
    detached.launch([[*words, "hardware=gpu4", "task=train"] for words in SWEEP], 0)
    params, ((((number, words),), *_),) = asked[-1]
    assert params["dependency"] == "afterany:77:78" and (params["gpus_per_node"], params["cpus_per_task"]) == (1, 8)
    assert words == ["hardware=gpu4", "task=evaluate", f"runs='{tmp_path}'", "hydra.sweep.subdir=evaluation"]
    assert number == 5
    assert SweepFolder(tmp_path).evaluations() == ["79"] and "79" not in SweepFolder(tmp_path).job_ids().values()

    commands.say("squeue", "".join(f"{job}|PENDING|None|\n" for job in ("77_0", "77_1", "77_2", "78_0", "78_1", "79")))
    detached.launch([[*words, "hardware=gpu4", "task=train"] for words in SWEEP], 0)
    assert len(asked) == 3


@pytest.fixture
def evaluation(launcher_of, monkeypatch, tmp_path):
    """The function that is submitted for the evaluation of two runs, with its arguments; it answers `evaluated`.

    The first run has finished, the second one was requeued.
    """
    monkeypatch.setattr(BaseSubmititLauncher, "__call__", lambda self, *_: "evaluated")
    sweep = SweepFolder(tmp_path)
    sweep.write_jobs([PlannedRun(["seed=0"], "0"), PlannedRun(["seed=1"], "1")])
    sweep.add_submission(Submission("66", [[0], [1]]))
    sweep.run(0).final.parent.mkdir(parents=True)
    sweep.run(0).final.touch()
    launcher = launcher_of("submitit_slurm")
    function = Evaluation(plain_params(launcher.config.hydra.launcher), sweep)
    function.setup(hydra_context=launcher.hydra_context, task_function=None, config=launcher.config)
    ((jobs, *others),) = function.arguments_of([[Job(2, ["task=evaluate"])]])
    return function, (jobs, *others), sweep


def test_an_evaluation_that_is_overtaken_submits_itself_once_more(evaluation, commands, monkeypatch, tmp_path):
    """The second time it evaluates what there is, even where the run was requeued again."""
    function, arguments, sweep = evaluation
    commands.say("squeue", "66_0|COMPLETING|None|n\n66_1|PENDING|BeginTime|\n")
    asked = []

    def submit(params, function, arguments, mark):
        asked.append((params["dependency"], function, arguments))
        return [SlurmJob(tmp_path, "80")]

    monkeypatch.setattr(slurm_evaluation, "submit", submit)
    assert function(*arguments).return_value is None
    ((dependency, again, (same,)),) = asked
    assert dependency == "afterany:66_1" and same == arguments and sweep.evaluations() == ["80"]
    assert again(*same) == "evaluated" and len(asked) == 1


def test_what_there_is_is_evaluated_where_nothing_goes_on(evaluation, commands):
    function, arguments, sweep = evaluation
    for answer in (("66_1|CANCELLED|None|\n",), ("", 1, "Socket timed out")):
        commands.say("squeue", *answer)
        assert function(*arguments) == "evaluated" and not sweep.evaluations()


def test_so_it_is_where_a_job_may_not_submit_another(evaluation, commands, monkeypatch, capsys):
    function, arguments, _ = evaluation
    commands.say("squeue", "66_1|RUNNING|None|n\n")

    def submit(*_):
        raise UserError("SLURM refuses the jobs: Access denied")

    monkeypatch.setattr(slurm_evaluation, "submit", submit)
    assert function(*arguments) == "evaluated"
    assert capsys.readouterr().out.startswith("SLURM refuses the jobs: Access denied\nwhat has finished is evaluated")


def test_the_client_waits_for_the_evaluation_that_was_submitted_last(launcher_of, sbatch, monkeypatch, tmp_path):
    waited = []

    def wait(jobs):
        waited.append([job.job_id for job in jobs])
        if len(waited) == 1:  # meanwhile the first evaluation has submitted the second one
            SweepFolder(tmp_path).add_submission(Submission("99", [[]]))
            return {}
        return {"99": "CANCELLED"}

    monkeypatch.setattr(BaseSubmititLauncher, "__call__", lambda self, words, *_: None)
    monkeypatch.setattr(slurm_launcher, "most_tasks", lambda: None)
    monkeypatch.setattr(slurm_launcher, "wait", wait)
    monkeypatch.setattr(slurm_launcher, "results_of", lambda sweep, one, ended: [(one.slurm.job_id, ended)])
    returns = launcher_of("submitit_slurm", "sweep.evaluate=true").launch(SWEEP[:2], 0)
    assert waited == [["77_0", "77_1", "78"], ["99"]]
    assert returns == [("77_0", None), ("77_1", None), ("99", "CANCELLED")]
