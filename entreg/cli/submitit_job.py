"""What runs in a job that submitit has started: a job of a sweep, whose config was composed before."""

from __future__ import annotations

import pickle
import signal
import warnings
from collections.abc import Sequence
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import filter_overrides
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

from entreg.cli.composed_once import ComposedOnce, Configs
from entreg.cli.slurm_jobs import Job


class SubmititJob(BaseSubmititLauncher):  # type: ignore[misc]  # the plugin ships no types
    """The function that is submitted, to SLURM or to this machine."""

    def arguments_of(self, groups: Sequence[list[Job]]) -> list[tuple[Any, ...]]:
        """Return the arguments of a submitted job for each group of jobs of the sweep, as `__call__` takes them."""
        loader = self._loader()
        globals_of_hydra = cloudpickle.dumps(Singleton.get_state())  # once, for all
        return [(group, globals_of_hydra, loader.configs_of([job.overrides for job in group])) for group in groups]

    def __call__(self, jobs: list[Job], globals_of_hydra: bytes, configs: Configs) -> Any:
        """Run the jobs of the sweep in the submitted job.

        globals_of_hydra: the state of Hydra's singletons, as pickle writes it; configs: what the jobs' words compose
        """
        ready_for_signals()
        self._loader().add(configs)
        with warnings.catch_warnings():
            ignore_schema_warning()
            return self._run(jobs, pickle.loads(globals_of_hydra))

    def _run(self, jobs: list[Job], state: dict[type, Any]) -> Any:
        """Run the only one of the jobs, and return its result."""
        ((number, words),) = jobs
        # the log is named by ids alone
        print(f"run {number}: {' '.join(filter_overrides(words))}", flush=True)
        return super().__call__(words, "hydra.sweep.dir", number, "", state)

    def _loader(self) -> ComposedOnce:
        loader = self.hydra_context.config_loader
        assert isinstance(loader, ComposedOnce)
        return loader


def ready_for_signals() -> None:
    """Unblock USR2, which has been blocked since the job started: submitit's handler stands now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


def ignore_schema_warning() -> None:
    """Ignore that conf/hydra/launcher/ is merged over the plugin's schemas of the same names, as is intended."""
    warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/")
