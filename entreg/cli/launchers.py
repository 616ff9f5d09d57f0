"""Hydra's launchers `together` and `together_slurm`, which train the runs of a sweep in groups.

Runs that read the same images in the same order form a group; see `training.grouping`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
from omegaconf import DictConfig, open_dict, read_write

from entreg.cli.execution import run_jobs_together, without_hydra
from entreg.cli.local_launcher import Local, LocalConf
from entreg.cli.slurm_jobs import Job, numbered
from entreg.cli.slurm_launcher import Slurm
from entreg.config.settings import resolved
from entreg.training.grouping import groups
from entreg.training.train_together import train_together

log = logging.getLogger(__name__)

TOGETHER = ("together", "together_slurm")  # launchers that train the runs of a sweep in groups
SLURM = ("submitit_slurm", "together_slurm")
LOCAL = ("basic", "together")  # launchers that run their jobs in this process


@dataclass
class TogetherConf:
    """Settings of the launcher that trains the groups of a sweep one after the other, in this process."""

    _target_: str = "hydra_plugins.entreg.together"
    runs_per_job: int | None = None  # the greatest number of runs in a group; null: there is no limit


@dataclass
class TogetherSlurmConf(SlurmQueueConf):  # type: ignore[misc]  # the plugin ships no types
    """Settings of the launcher that submits a job of SLURM for each group of a sweep."""

    _target_: str = "hydra_plugins.entreg.together_slurm"
    runs_per_job: int | None = None


def register() -> None:
    """Register the launchers and their settings with Hydra.

    Hydra 1.3 accepts a launcher only under a name that begins with `hydra_plugins.`, so each is registered under such a
    name, although it is defined in this module.
    """
    plugins = Plugins.instance()
    for name, launcher, settings in (
        ("together", Together, TogetherConf),
        ("together_slurm", TogetherSlurm, TogetherSlurmConf),
        ("submitit_slurm", Slurm, None),  # the plugin has registered its settings
        ("submitit_local", Local, LocalConf),
    ):
        plugins.register(launcher)
        plugins.class_name_to_class[f"hydra_plugins.entreg.{name}"] = launcher
        if settings is not None:
            ConfigStore.instance().store(group="hydra/launcher", name=name, node=settings, provider="entreg")


class Together(Launcher):
    """Trains the groups of a sweep one after the other, in this process."""

    def __init__(self, runs_per_job: int | None) -> None:
        self._most = runs_per_job

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember what `launch` needs. task_function: unused, since groups are trained by a function of their own."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train all groups; return the result of each job, in the jobs' order."""
        setup_globals()
        hydra_config = self._config.hydra
        configure_log(hydra_config.hydra_logging, hydra_config.verbose)
        Path(str(hydra_config.sweep.dir)).mkdir(parents=True, exist_ok=True)
        returns = []
        for group in _grouped(self._context, self._config, job_overrides, initial_job_idx, self._most):
            returns += _trained(self._context, self._config, group, None)
            configure_log(hydra_config.hydra_logging, hydra_config.verbose)
        return sorted(returns, key=lambda job_return: job_return.cfg.hydra.job.num if job_return.cfg else 0)


class TogetherSlurm(Slurm):
    """Submits a job of SLURM for each group of a sweep."""

    def __init__(self, runs_per_job: int | None, **params: Any) -> None:
        super().__init__(**params)
        self._most = runs_per_job

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit all groups and wait for them; return the result of each job, group by group."""
        return self._launched(_grouped(self.hydra_context, self.config, job_overrides, initial_job_idx, self._most))

    def _run(self, jobs: list[Job], state: dict[type, Any]) -> Any:
        """Train the jobs together, and return the result of each."""
        Singleton.set_state(state)
        setup_globals()
        return _trained(self.hydra_context, self.config, jobs, submitit.JobEnvironment().job_id)


def _composed(context: HydraContext, config: DictConfig, job: Job, job_id: str) -> DictConfig:
    """Return the job's config with Hydra's own part, which holds the job's folder."""
    composed = context.config_loader.load_sweep_config(config, job.overrides)
    with open_dict(composed):
        composed.hydra.job.id, composed.hydra.job.num = job_id, job.number
    HydraConfig.instance().set_config(composed)
    with read_write(composed.hydra.runtime), open_dict(composed.hydra.runtime):
        folder = Path(composed.hydra.sweep.dir) / composed.hydra.sweep.subdir
        composed.hydra.runtime.output_dir = os.path.abspath(folder)  # noqa: PTH100  # resolve() would follow links
    return composed


def _grouped(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int, most: int | None
) -> list[list[Job]]:
    """Return the jobs in groups that can be trained together, and log the groups.

    first: the number of the first job; most: the greatest number of jobs in a group
    """
    jobs = numbered(job_overrides, first)
    configs = [resolved(without_hydra(_composed(context, config, job, str(job.number)))) for job in jobs]
    grouped = [[jobs[i] for i in group] for group in groups(configs, most)]
    for number, group in enumerate(grouped):
        log.info("group %d: these runs are trained together", number)
        for job in group:
            log.info("\t#%d : %s", job.number, " ".join(filter_overrides(job.overrides)))
    return grouped


def _trained(context: HydraContext, config: DictConfig, group: list[Job], job_id: str | None) -> list[JobReturn]:
    """Train a group in this process; return the result of each job."""
    before = HydraConfig.instance().cfg
    cfgs = [_composed(context, config, job, job_id or str(job.number)) for job in group]
    configure_log(cfgs[0].hydra.job_logging, cfgs[0].hydra.verbose)
    try:
        results = run_jobs_together(cfgs, train_together)
    finally:
        HydraConfig.instance().cfg = before
    returns = []
    for job, cfg, result in zip(group, cfgs, results, strict=True):
        status = JobStatus.FAILED if isinstance(result, Exception) else JobStatus.COMPLETED
        returns.append(JobReturn(job.overrides, cfg, cfg, str(Path.cwd()), None, status, result))
    return returns
