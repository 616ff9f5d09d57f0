"""Hydra's launcher that runs the jobs of a sweep as processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf
from submitit import AutoExecutor

from entreg.cli.slurm_jobs import Submitted, numbered, results_of
from entreg.cli.submitit_job import SubmititJob
from entreg.runs.folder import SweepFolder


@dataclass
class LocalConf(LocalQueueConf):  # type: ignore[misc]  # the plugin ships no types
    """Settings of the launcher."""

    _target_: str = "hydra_plugins.entreg.submitit_local"
    parallelism: int | None = None  # the greatest number of jobs that run at once; null: all


class Local(SubmititJob):
    """Runs each job of a sweep as a process of this machine."""

    def __init__(self, parallelism: int | None, **params: Any) -> None:
        super().__init__(**params)
        self._most = parallelism

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, not more at once than are allowed, and return the result of each."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        sweep = SweepFolder(Path(str(self.config.hydra.sweep.dir)).absolute())
        params = dict(self.params)
        executor = AutoExecutor(params.pop("submitit_folder"), cluster="local")
        executor.update_parameters(**params)
        groups = [[job] for job in numbered(job_overrides, initial_job_idx)]

        def result(group: list[Any], arguments: tuple[Any, ...]) -> JobReturn:
            (returned,) = results_of(sweep, Submitted(executor.submit(self, *arguments), group), None)
            return returned

        with ThreadPoolExecutor(self._most or len(groups)) as pool:
            try:
                return list(pool.map(result, groups, self.arguments_of(groups)))
            except KeyboardInterrupt:  # which the jobs have got as well
                pool.shutdown(wait=False, cancel_futures=True)
                raise
