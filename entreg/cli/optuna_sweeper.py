"""Hydra's sweeper `optuna`, which lets Optuna choose values: a sweep that was stopped goes on by the same command.

Hydra's own needs an Optuna below 3 and begins anew each time. Here each trial is recorded before it starts. What it
tries depends on the seed, on its number and on what came before, so that a sweep that goes on tries what it would have
tried without interruption.
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from entreg.errors import brief
from entreg.runs.folder import SweepFolder
from entreg.runs.sweep_words import parsed

log = logging.getLogger(__name__)


@dataclass
class SamplerConf:
    """Settings of Optuna's TPE sampler."""

    seed: int = 0


@dataclass
class OptunaConf:
    """Settings of the sweeper."""

    _target_: str = "hydra_plugins.entreg.optuna"
    direction: str = "maximize"  # of what the jobs return, a training its last validation IG
    n_trials: int = 20  # of the whole sweep, those of earlier starts among them
    n_jobs: int = 1  # trials that are chosen, and given to the launcher, at a time
    sampler: SamplerConf = field(default_factory=SamplerConf)
    params: dict[str, Any] | None = None


class Optuna(Sweeper):
    """Asks Optuna for the values of each trial, and tells it what the trial's job returned."""

    def __init__(
        self, direction: Any, n_trials: int, n_jobs: int, sampler: Mapping[str, Any], params: Mapping[str, Any] | None
    ) -> None:
        self._direction, self._n_trials, self._n_jobs = direction, n_trials, n_jobs
        self._seed, self._params = int(sampler["seed"]), params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember the launcher of the jobs and the sweep's folder. Raises an error where Optuna is not installed."""
        if importlib.util.find_spec("optuna") is None:
            raise CompactHydraException("hydra/sweeper=optuna needs Optuna, which is not installed: pip install optuna")
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self._folder = SweepFolder(Path(config.hydra.sweep.dir))

    def sweep(self, arguments: list[str]) -> None:
        """Run all trials, of which those that have finished return at once. Raises the first error at the end."""
        import optuna

        words = parsed(self._params, arguments)
        space = {word.get_key_element(): _distribution(word) for word in words if word.is_sweep_override()}
        fixed = [str(word.input_line) for word in words if not word.is_sweep_override()]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(direction=self._direction)
        chosen, ended = self._folder.read_trials(), list[JobReturn]()
        while len(ended) < self._n_trials:
            first, last = len(ended), min(len(ended) + self._n_jobs, self._n_trials)
            chosen += [self._choice(study, space, number) for number in range(len(chosen), last)]
            self._folder.write_trials(chosen)
            jobs = [[*fixed, *(f"{key}={value}" for key, value in values.items())] for values in chosen[first:last]]
            ended += self._launcher.launch(jobs, initial_job_idx=first)
            for values, job in zip(chosen[first:last], ended[first:], strict=True):
                if job.status is JobStatus.COMPLETED and job.return_value is None:
                    log.info("the sweep was stopped; the same command goes on")
                    return
                study.add_trial(_trial(values, space, job))
        if study.get_trials(states=[optuna.trial.TrialState.COMPLETE]):
            best = study.best_trial
            log.info("the best of %d trials: %s, with %s", len(ended), best.value, best.params)
            self._folder.write_optimum({"name": "optuna", "best_params": best.params, "best_value": best.value})
        for job in ended:
            _ = job.return_value  # raises the error of a job that failed

    def _choice(self, study: Any, space: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Return the values of a trial, which the study keeps as one that has failed: TPE learns nothing of it."""
        import optuna

        (seed,) = np.random.SeedSequence([self._seed, number]).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(seed=int(seed))
        trial = study.ask(dict(space))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        values: dict[str, Any] = trial.params
        return values


def register() -> None:
    """Register the sweeper and its settings with Hydra, see `launchers.register`."""
    plugins = Plugins.instance()
    plugins.register(Optuna)
    plugins.class_name_to_class[OptunaConf._target_] = Optuna
    ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaConf, provider="entreg")


def _distribution(word: Override) -> Any:
    """Return what Optuna chooses from: an interval, also on a logarithmic scale, or the values that were typed."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if word.is_discrete_sweep():
        return CategoricalDistribution(list(word.sweep_string_iterator()))
    interval: Any = word.value()
    are_whole = isinstance(interval.start, int) and isinstance(interval.end, int)
    kind = IntDistribution if are_whole else FloatDistribution
    return kind(interval.start, interval.end, log="log" in interval.tags)


def _trial(values: Mapping[str, Any], space: Mapping[str, Any], job: JobReturn) -> Any:
    """Return a trial that has ended. Raises an error where its values are not in the search space."""
    from optuna.trial import TrialState, create_trial

    result = job.return_value if job.status is JobStatus.COMPLETED else math.nan
    state = TrialState.COMPLETE if math.isfinite(result) else TrialState.FAIL
    value = result if state == TrialState.COMPLETE else None
    try:
        return create_trial(state=state, value=value, params=dict(values), distributions=dict(space))
    except ValueError as error:
        raise CompactHydraException(
            f"this sweep tried {dict(values)} before, which what is typed now does not hold ({brief(error)}); type "
            "what was typed then, or another study=NAME"
        ) from error
