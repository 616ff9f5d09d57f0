"""Run jobs of a sweep that are trained together, each in its folder."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from entreg.cli.execution import checked, failure_recorded, job_failed, refuse_start, warn_of_other_code, without_hydra
from entreg.cli.next_steps import how_to_go_on
from entreg.cli.sole_writer import is_left_to_another, is_submitted, sole_writer
from entreg.config import Config
from entreg.errors import UserError
from entreg.runs.folder import RunFolder, SweepFolder

log = logging.getLogger(__name__)

# trains the runs that are not refused; returns the result or the error of each
TrainTogether = Callable[[list[tuple[Config, RunFolder]], list[bool]], list[Any]]


def run_jobs_together(cfgs: Sequence[DictConfig], train: TrainTogether) -> list[Any]:
    """Run jobs of a sweep that are trained together, each in its folder.

    Returns for each job what its task returns, or the JobFailed with which it ended.

    cfgs: the composed configs with Hydra's own part, `hydra`; train: trains the runs that are not refused
    """
    submitted = is_submitted()
    runs: list[tuple[Config, RunFolder]] = []
    refusals: list[UserError | None] = []
    sweep = SweepFolder(Path(cfgs[0].hydra.sweep.dir))
    if submitted:
        warn_of_other_code(sweep)
    with ExitStack() as leases:
        for cfg in cfgs:
            HydraConfig.instance().set_config(cfg)
            folder = RunFolder(Path(cfg.hydra.runtime.output_dir))
            runs.append((checked(without_hydra(cfg)), folder))
            try:
                refuse_start(runs[-1][0], cfg, cfg.hydra, folder)
                leases.enter_context(sole_writer(folder, cfg.hydra))
            except UserError as error:
                log.error("%s is left out: %s", folder, error)
                refusals.append(error)
            else:
                refusals.append(None)
        results = _train_together(sweep, runs, refusals, train)
    if submitted and any(isinstance(result, Exception) for result in results):
        atexit.register(os._exit, 1)
    ended = zip(results, runs, cfgs, strict=True)
    return [_ended(result, folder, cfg.hydra) for result, (_, folder), cfg in ended]


def _train_together(
    sweep: SweepFolder,
    runs: list[tuple[Config, RunFolder]],
    refusals: list[UserError | None],
    train: TrainTogether,
) -> list[Any]:
    """Train the runs; return the result or the error of each, or why it was refused."""
    results: list[Any] = [None] * len(runs)
    admitted = [folder for (_, folder), refusal in zip(runs, refusals, strict=True) if refusal is None]
    try:
        if admitted:
            results = train(runs, [refusal is not None for refusal in refusals])
    except KeyboardInterrupt:
        print(f"\ninterrupted: {how_to_go_on(sweep.path, is_sweep=True)}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        for folder in admitted:
            with suppress(Exception), failure_recorded(folder):
                raise error
        results = [error] * len(runs)
    return [result if refusal is None else refusal for result, refusal in zip(results, refusals, strict=True)]


def _ended(result: Any, folder: RunFolder, hydra_config: Any) -> Any:
    """Return a job's result, or the JobFailed with which it ended."""
    if not isinstance(result, Exception):
        return result
    return None if is_left_to_another(result, folder, hydra_config) else job_failed(result, folder)
