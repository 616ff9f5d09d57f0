"""Launchers that train the runs of a sweep together: those that read the same images in the same order form a group."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from omegaconf import DictConfig, open_dict, read_write

# Hydra imports this module at the start of every command, so entreg is imported where it is needed
from . import config as _  # noqa: F401  # makes the settings known

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """A job of the sweep: its number, and what was typed for it."""

    number: int
    overrides: list[str]


def composed(context: HydraContext, config: DictConfig, job: Job, job_id: str) -> DictConfig:
    """The job's config with Hydra's own part, the job's folder in it."""
    found = context.config_loader.load_sweep_config(config, job.overrides)
    with open_dict(found):
        found.hydra.job.id, found.hydra.job.num = job_id, job.number
    HydraConfig.instance().set_config(found)
    with read_write(found.hydra.runtime), open_dict(found.hydra.runtime):
        found.hydra.runtime.output_dir = os.path.abspath(Path(found.hydra.sweep.dir) / found.hydra.sweep.subdir)
    return found


def grouped(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int, most: int | None
) -> list[list[Job]]:
    """The jobs in groups that can be trained together."""
    from entreg.config import without_hydra
    from entreg.settings import resolved
    from entreg.train.together import groups

    jobs = [Job(first + i, list(overrides)) for i, overrides in enumerate(job_overrides)]
    configs = [resolved(without_hydra(composed(context, config, job, str(job.number)))) for job in jobs]
    found = [[jobs[i] for i in group] for group in groups(configs, most)]
    for number, group in enumerate(found):
        log.info("group %d: runs trained together", number)
        for job in group:
            log.info("\t#%d : %s", job.number, " ".join(filter_overrides(job.overrides)))
    return found


def trained(context: HydraContext, config: DictConfig, group: list[Job], job_id: str | None) -> list[JobReturn]:
    """Trains a group here; a return for each job."""
    from entreg.run.jobs import jobs_together
    from entreg.train.together import train_together

    before = HydraConfig.instance().cfg
    cfgs = [composed(context, config, job, job_id or str(job.number)) for job in group]
    configure_log(cfgs[0].hydra.job_logging, cfgs[0].hydra.verbose)
    try:
        found = jobs_together(cfgs, train_together)
    finally:
        HydraConfig.instance().cfg = before
    returns = []
    for job, cfg, result in zip(group, cfgs, found, strict=True):
        failed = isinstance(result, Exception)
        status = JobStatus.FAILED if failed else JobStatus.COMPLETED
        returns.append(JobReturn(job.overrides, cfg, cfg, os.getcwd(), None, status, result))
    return returns


class Together(Launcher):
    """The groups one after the other, in this process."""

    def __init__(self, runs_per_job: int | None) -> None:
        self._most = runs_per_job

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        own = self._config.hydra
        configure_log(own.hydra_logging, own.verbose)
        Path(str(own.sweep.dir)).mkdir(parents=True, exist_ok=True)
        returns = []
        for group in grouped(self._context, self._config, job_overrides, initial_job_idx, self._most):
            returns += trained(self._context, self._config, group, None)
            configure_log(own.hydra_logging, own.verbose)
        return sorted(returns, key=lambda one: one.cfg.hydra.job.num if one.cfg else 0)


class TogetherSlurm(SlurmLauncher):
    """A job of SLURM for each group."""

    def __init__(self, runs_per_job: int | None, **params: Any) -> None:
        super().__init__(**params)
        self._most = runs_per_job
        self._groups: list[list[Job]] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        assert self.hydra_context is not None and self.config is not None
        self._groups = grouped(self.hydra_context, self.config, job_overrides, initial_job_idx, self._most)
        # the i-th job that is submitted is the i-th group, see __call__
        returns = super().launch([group[0].overrides for group in self._groups], 0)
        return [one for group in returns for one in group]

    def __call__(
        self, sweep_overrides: list[str], job_dir_key: str, job_num: int, job_id: str, singleton_state: dict[type, Any]
    ) -> Any:
        import submitit

        assert self.hydra_context is not None and self.config is not None
        Singleton.set_state(singleton_state)
        setup_globals()
        return trained(self.hydra_context, self.config, self._groups[job_num], submitit.JobEnvironment().job_id)
