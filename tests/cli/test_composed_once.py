"""Each job's config is composed once for a whole sweep, whoever asks for it, and is what Hydra itself composes."""

from __future__ import annotations

import pickle
from pathlib import Path

import cloudpickle
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.types import RunMode
from omegaconf import OmegaConf

from entreg.cli import launchers, slurm_evaluation, slurm_launcher
from entreg.cli.composed_once import ComposedOnce, load_sweeps_by
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder
from tests.cli.conftest import WORDS

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # see composition.run

JOBS = 2
ONCE_FOR_ALL = 1  # Hydra composes the sweep's own config, which has the words of no job


@pytest.fixture
def compositions(monkeypatch) -> list[list[str]]:
    """The words of each composition by Hydra."""
    compose, composed = ConfigLoaderImpl.load_configuration, []

    def noted(loader, config_name, overrides, *more, **named):
        composed.append(overrides)
        return compose(loader, config_name, overrides, *more, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", noted)
    return composed


@pytest.fixture
def sweep(start, sbatch, monkeypatch, tmp_path):
    """sweep(*words): performs `python train.py -m` with these words, but for the training; the folders in order.

    A job of SLURM is another process: it gets what the pickle of its function holds.
    """
    done = []
    submit = slurm_launcher.submit

    def elsewhere(params, function, arguments, mark):
        function, arguments = cloudpickle.loads(cloudpickle.dumps((function, arguments)))
        function.task_function = train_alone
        return submit(params, function, arguments, mark)

    for module in (slurm_launcher, slurm_evaluation):
        monkeypatch.setattr(module, "submit", elsewhere)
    monkeypatch.setattr(slurm_launcher, "wait", lambda jobs: {})
    monkeypatch.setattr(slurm_launcher, "most_tasks", lambda: None)
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("submitit.JobEnvironment", lambda: type("Environment", (), {"job_id": "77"}))
    monkeypatch.setattr(Singleton, "set_state", lambda state: None)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)

    def train(cfgs, _):
        done.extend(Path(cfg.hydra.runtime.output_dir) for cfg in cfgs)
        return [0.5 for _ in cfgs]

    def train_alone(cfg):
        done.append(Path(HydraConfig.get().runtime.output_dir))

    monkeypatch.setattr(launchers, "run_jobs_together", train)

    def perform(*words: str) -> list[Path]:
        done.clear()
        overrides = [*WORDS, f"seed={','.join(map(str, range(JOBS)))}", "study=s", f"hydra.sweep.dir={tmp_path}"]
        GlobalHydra.instance().hydra.multirun("config", train_alone, [*overrides, *words])
        return done

    return perform


@pytest.mark.parametrize("launcher", ["basic", "together", "submitit_slurm", "together_slurm"])
def test_each_job_is_composed_once(sweep, compositions, tmp_path, launcher):
    assert sweep(f"hydra/launcher={launcher}") == [tmp_path / str(number) for number in range(JOBS)]
    assert len(compositions) == ONCE_FOR_ALL + JOBS
    assert [word for words in compositions[ONCE_FOR_ALL:] for word in words if word.startswith("seed=")] == [
        f"seed={number}" for number in range(JOBS)
    ]


@pytest.mark.parametrize("launcher", ["basic", "submitit_slurm"])
def test_so_is_each_job_of_a_finished_sweep_that_is_given_again(sweep, compositions, tmp_path, launcher):
    for number in range(JOBS):
        checkpoint.write(
            RunFolder(tmp_path / str(number)).final, {"history": [{"validation_ig_bits_per_fixation": 0.5}]}
        )
    sweep(f"hydra/launcher={launcher}")
    assert len(compositions) == ONCE_FOR_ALL + JOBS


def test_the_evaluation_of_a_sweep_is_one_job_more(sweep, compositions):
    sweep("hydra/launcher=submitit_slurm", "sweep.evaluate=true")
    assert len(compositions) == ONCE_FOR_ALL + JOBS + 1


@pytest.mark.parametrize(
    "words",
    [
        ["loss=nll_entropy", "seed=3"],
        ["experiment=osie"],
        ["sets=[synthetic,synthetic_ood]", "leave_out=synthetic", "logger=[tensorboard,mlflow]"],
        ["model=deepgaze3_densenet201", "+data@ood.mine=folder", "ood.mine.root=/a"],
    ],
)
def test_a_config_is_what_hydra_composes_each_time_it_is_asked_for(start, words):
    hydra = GlobalHydra.instance().hydra
    cfg = hydra.compose_config("config", ["hydra/launcher=submitit_slurm"], RunMode.MULTIRUN)
    begun_at = cfg.study  # the check before the first job asks for the sweep's folder
    expected = ConfigLoaderImpl(hydra.config_loader.get_search_path()).load_sweep_config(cfg, words)
    loader = load_sweeps_by()
    assert GlobalHydra.instance().config_loader() is loader
    for _ in range(2):
        config = loader.load_sweep_config(cfg, words)
        assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(expected)
        assert OmegaConf.get_type(config.loss) is OmegaConf.get_type(expected.loss)
        assert config.study == expected.study == begun_at
        config.seed = 77  # a copy of its own


def test_each_file_is_read_once(start, monkeypatch):
    files, read = SourcesRegistry.instance().resolve("file"), []
    load = files.load_config
    monkeypatch.setattr(
        files, "load_config", lambda source, config_path: read.append(config_path) or load(source, config_path)
    )
    hydra = GlobalHydra.instance().hydra
    cfg = hydra.compose_config("config", [], RunMode.MULTIRUN)
    loader = load_sweeps_by()
    read.clear()
    for seed in range(JOBS):
        loader.load_sweep_config(cfg, ["loss=nll", f"seed={seed}"])
    assert "loss/nll" in read and len(read) == len({*read})


def test_a_job_elsewhere_gets_its_own_config_alone(start):
    cfg = GlobalHydra.instance().hydra.compose_config("config", [], RunMode.MULTIRUN)
    loader = load_sweeps_by()
    for seed in range(JOBS):
        loader.load_sweep_config(cfg, [f"seed={seed}"])
    elsewhere: ComposedOnce = pickle.loads(pickle.dumps(loader))
    assert elsewhere.configs_of([["seed=1"]]) == {}
    elsewhere.add(loader.configs_of([["seed=1"], ["seed=99"]]))
    assert [*elsewhere.configs_of([["seed=1"], ["seed=2"], ["seed=99"]])] == [("seed=1",)]
