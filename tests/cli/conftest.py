"""What the tests of the command line share: sweeps as far as the check before their first job, and one that fails."""

from __future__ import annotations

import itertools
import json

import cloudpickle
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from submitit import SlurmJob

from entreg import tasks
from entreg.cli import composition, slurm_evaluation, slurm_launcher, sweep_table
from entreg.cli.composed_once import load_sweeps_by
from entreg.cli.preflight import Preflight
from entreg.cli.slurm_jobs import Job
from entreg.cli.sweep_table import Sweep
from tests.conftest import ROOT, SMALL
from tests.runs import broken
from tests.slurm.commands import Commands

WORDS = (*SMALL, "trainer.epochs=2", "hardware=cpu")
TASKS = "task.name=fail_once,train"


@pytest.fixture
def start(monkeypatch, tmp_path):
    """start(*words): what the callback does before the first job of `python train.py -m *words` is started."""
    composition.register()
    for name in ("_started", "_left"):
        monkeypatch.setattr(sweep_table, name, [])
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(broken.TASKS / "tasks")])

    def callback(*words: str) -> list[Sweep]:
        overrides = [f"hydra.sweep.dir={tmp_path}", *words]
        config = GlobalHydra.instance().hydra.compose_config("config", overrides, RunMode.MULTIRUN)
        Preflight().on_multirun_start(config)
        return sweep_table._started

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield callback


@pytest.fixture
def refused(start, capsys):
    """refused(*words): the message with which such a sweep is refused."""

    def message(*words: str) -> str:
        with pytest.raises(SystemExit) as caught:
            start(*words)
        assert caught.value.code == 2 and not sweep_table._started
        return capsys.readouterr().err

    return message


@pytest.fixture
def launcher_of(start, tmp_path, monkeypatch):
    """launcher_of(name, *words): the launcher of this name, as Hydra makes it for a sweep with these words."""
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)

    def build(name: str, *words: str) -> Launcher:
        overrides = [f"hydra/launcher={name}", "hardware=cpu", "study=s", f"hydra.sweep.dir={tmp_path}", *words]
        config = GlobalHydra.instance().hydra.compose_config("config", overrides, RunMode.MULTIRUN)
        context = HydraContext(config_loader=load_sweeps_by(), callbacks=None)
        return Plugins.instance().instantiate_launcher(hydra_context=context, task_function=None, config=config)

    return build


@pytest.fixture
def sbatch(monkeypatch, tmp_path) -> list[list[Job]]:
    """In place of SLURM each job is run here at once, in array 77, 78, ...; the jobs of each, in order."""
    submitted: list[list[Job]] = []
    arrays = itertools.count(77)

    def submit(params, function, arguments, mark):
        jobs, array = [], next(arrays)
        for number, (group, *others) in enumerate(arguments):
            job = SlurmJob(tmp_path / ".submitit", f"{array}_{number}" if len(arguments) > 1 else f"{array}")
            job.paths.folder.mkdir(exist_ok=True)
            submitted.append(group)
            job.paths.result_pickle.write_bytes(cloudpickle.dumps(("success", function(group, *others))))
            jobs.append(job)
        return jobs

    for module in (slurm_launcher, slurm_evaluation):
        monkeypatch.setattr(module, "submit", submit)
    return submitted


@pytest.fixture
def commands(tmp_path_factory, monkeypatch) -> Commands:
    """Stand-ins for SLURM's commands."""
    return Commands(tmp_path_factory.mktemp("slurm") / "bin", monkeypatch)


@pytest.fixture(scope="session")
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
