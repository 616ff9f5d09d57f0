"""Run one job: check its config, perform its task in its folder, and record there how it ended."""

from __future__ import annotations

import atexit
import copy
import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import submitit
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from entreg import tasks
from entreg.cli import sweep_table, unsaid
from entreg.config import Config
from entreg.config.settings import resolved
from entreg.data import sources
from entreg.errors import DataError, RankFailed, SettingError, UserError, brief
from entreg.io import files
from entreg.io.leases import Lease, LeaseHeld
from entreg.runs import sweep_words
from entreg.runs.folder import RunFolder, SweepFolder
from entreg.runs.provenance import code_version

log = logging.getLogger(__name__)

# trains the runs that are not refused; returns the result or the error of each
TrainTogether = Callable[[list[tuple[Config, RunFolder]], list[bool]], list[Any]]

# errors of system calls that a person can mend; they do not mean that the code is wrong
SYSTEM_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}


class WorkedOn(SettingError):
    """Another process is working on the run, so that this one changes nothing there."""


class JobFailed(CompactHydraException):
    """A job failed. Hydra prints the message of such an error without a traceback, and exits with 1."""


def run_job(cfg: DictConfig) -> Any:
    """Check a job's config, run its task in its folder, and record how it ended. Return what the task returns.

    Raises JobFailed with a message that names the run's folder and log. Exits with 130 after Ctrl-C.
    """
    hydra_config = HydraConfig.get()
    folder = RunFolder(Path(hydra_config.runtime.output_dir))
    submitted = is_submitted()
    try:
        if submitted:
            _warn_of_other_code(SweepFolder(Path(hydra_config.sweep.dir)))
        return performed(cfg, hydra_config, folder)
    except KeyboardInterrupt:
        print(f"\ninterrupted: {_how_to_resume(folder, hydra_config.mode)}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if _is_left_to_another(error, folder, hydra_config):
            return None
        if submitted:
            # Hydra hands the exception to the waiting client, and SLURM would report COMPLETED
            atexit.register(os._exit, 1)
        raise _job_failed(error, folder) from None


def performed(cfg: DictConfig, hydra_config: Any, folder: RunFolder) -> Any:
    """Check a job's config, run its task in its folder, and return what the task returns. A failure is recorded there.

    hydra_config: Hydra's own part of the config, which `cfg` lacks
    """
    config = checked(cfg)
    refuse_start(config, cfg, hydra_config, folder)
    with _sole_writer(folder, hydra_config), _failure_recorded(folder):
        return tasks.perform(config, folder)


def run_jobs_together(cfgs: Sequence[DictConfig], train: TrainTogether) -> list[Any]:
    """Run jobs of a sweep that are trained together, each in its folder.

    Returns for each job what its task returns, or the JobFailed with which it ended.

    cfgs: the composed configs with Hydra's own part, `hydra`; train: trains the runs that are not refused
    """
    submitted = is_submitted()
    runs: list[tuple[Config, RunFolder]] = []
    refusals: list[UserError | None] = []
    if submitted:
        _warn_of_other_code(SweepFolder(Path(cfgs[0].hydra.sweep.dir)))
    with ExitStack() as leases:
        for cfg in cfgs:
            HydraConfig.instance().set_config(cfg)
            folder = RunFolder(Path(cfg.hydra.runtime.output_dir))
            runs.append((checked(without_hydra(cfg)), folder))
            try:
                refuse_start(runs[-1][0], cfg, cfg.hydra, folder)
                leases.enter_context(_sole_writer(folder, cfg.hydra))
            except UserError as error:
                log.error("%s is left out: %s", folder, error)
                refusals.append(error)
            else:
                refusals.append(None)
        results = _train_together(runs, refusals, train)
    if submitted and any(isinstance(result, Exception) for result in results):
        atexit.register(os._exit, 1)
    ended = zip(results, runs, cfgs, strict=True)
    return [_ended(result, folder, cfg.hydra) for result, (_, folder), cfg in ended]


def is_submitted() -> bool:
    """Return whether this process is a job that submitit has started, on a cluster or here."""
    try:
        submitit.JobEnvironment()
    except RuntimeError:
        return False
    return True


def without_hydra(cfg: DictConfig) -> DictConfig:
    """Return a copy of a composed config without Hydra's own part."""
    copied = copy.deepcopy(cfg)
    with read_write(copied), open_dict(copied):
        copied.pop("hydra", None)
    return copied


def checked(cfg: DictConfig) -> Config:
    """Return the typed config, checked by its sources and its task. Raises a SettingError that names wrong settings."""
    try:
        config: Config = resolved(cfg)
    except OmegaConfBaseException as error:  # an interpolation that leads nowhere, or a missing value
        raise SettingError(f"{error.full_key or 'the config'}: {brief(error.msg or error)}; give a value") from error
    for key, settings in config.data_sets.items():
        sources.check(settings, key)
    tasks.check(config)
    return config


def refuse_start(config: Config, cfg: DictConfig, hydra_config: Any, folder: RunFolder | None) -> None:
    """Raise a SettingError where the folder holds a run of another config, or a new run lacks a choice.

    It is also raised where settings of `data` were typed, although `sets` were chosen, or a name that no set takes.

    config: the job's typed config; cfg: the composed one; hydra_config: Hydra's own part of it
    folder: None where it is not known
    """
    unsaid.refuse_other_names(cfg, config, list(hydra_config.overrides.task))
    if config.sets:
        unsaid.refuse_settings_of_data(config, list(hydra_config.overrides.task))
    if folder is not None:
        folder.refuse_other_config(config)
    if folder is None or not folder.config.is_file():  # a run that goes on has its choices in its folder
        unsaid.refuse_unsaid(cfg, config, hydra_config.runtime.choices)


def _train_together(
    runs: list[tuple[Config, RunFolder]], refusals: list[UserError | None], train: TrainTogether
) -> list[Any]:
    """Train the runs; return the result or the error of each, or why it was refused."""
    results: list[Any] = [None] * len(runs)
    admitted = [folder for (_, folder), refusal in zip(runs, refusals, strict=True) if refusal is None]
    try:
        if admitted:
            results = train(runs, [refusal is not None for refusal in refusals])
    except KeyboardInterrupt:
        print(f"\ninterrupted: {_how_to_resume(admitted[0], RunMode.MULTIRUN)}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        for folder in admitted:
            with suppress(Exception), _failure_recorded(folder):
                raise error
        results = [error] * len(runs)
    return [result if refusal is None else refusal for result, refusal in zip(results, refusals, strict=True)]


@contextmanager
def _sole_writer(folder: RunFolder, hydra_config: Any) -> Iterator[None]:
    """Keep other processes from writing into the run's folder meanwhile, and record there what was typed."""
    if os.environ.get("RANK", "0") != "0":  # under torchrun only the first rank does this
        yield
        return
    folder.refuse_foreign_files()
    try:
        lease = Lease(folder.owner)
    except LeaseHeld as lease_error:
        raise WorkedOn(
            f"{lease_error}; this process changes nothing there. For a new run type another study=NAME"
        ) from None
    with lease:
        folder.remove_temporary()
        if not folder.is_trained:  # what a finished training was started with stays as it was
            folder.write_typed(
                list(hydra_config.overrides.task), OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra_config}))
            )
        for earlier in (folder.failure, folder.ending):
            earlier.unlink(missing_ok=True)
        yield


@contextmanager
def _failure_recorded(folder: RunFolder) -> Iterator[None]:
    """Write the message of an exception into the run's folder, and raise it again."""
    try:
        yield
    except Exception as error:
        log.error("%s failed: %s", folder, _message(error))
        if not folder.failure.exists():  # under torchrun the first rank to fail is the cause
            try:
                files.write_text(folder.failure, _message(error))
            except DataError as write_error:  # a full disk may be the reason of the failure
                log.error("%s", write_error)
        raise


def _ended(result: Any, folder: RunFolder, hydra_config: Any) -> Any:
    """Return a job's result, or the JobFailed with which it ended."""
    if not isinstance(result, Exception):
        return result
    return None if _is_left_to_another(result, folder, hydra_config) else _job_failed(result, folder)


def _is_left_to_another(error: Exception, folder: RunFolder, hydra_config: Any) -> bool:
    """Return whether another process works on this job of a sweep, as one does to which the same sweep was given.

    Whether the job has failed shows at the end of the sweep, see `sweep_table.printed_at_the_end`.
    """
    is_in_sweep = hydra_config.mode is RunMode.MULTIRUN and sweep_words.is_basic(hydra_config.sweeper)
    if not isinstance(error, WorkedOn) or not is_in_sweep or is_submitted():
        return False
    log.warning("%s", error)
    sweep_table.leave_to_another(folder)
    return True


def _job_failed(error: Exception, folder: RunFolder) -> JobFailed:
    """Return the error that ends the job, with its folder and its log."""
    return JobFailed(f"{_message(error)}\n(run {folder}, log {folder.log})")


def _message(error: Exception) -> str:
    """Return the message of an error that a person can mend, else the traceback."""
    if isinstance(error, (UserError, RankFailed)):
        return str(error)
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
        return f"{error.filename or 'a file'}: {error.strerror}"
    return f"rank {os.environ.get('RANK', '0')} failed:\n{''.join(traceback.format_exception(error))}"


def _how_to_resume(folder: RunFolder, mode: RunMode | None) -> str:
    """Say which command resumes the run or the sweep."""
    sweep = folder.path.parent
    if mode is RunMode.MULTIRUN:
        return f"the same command with study={sweep.name} goes on with the sweep {sweep}"
    return f"the same command with study={folder.path.name} goes on with {folder}"


def _warn_of_other_code(sweep: SweepFolder) -> None:
    """Warn where the code changed after the submission: a job reads the code only when it starts."""
    submitted, current = sweep.submitted_code.read_text().strip(), code_version()
    if submitted != current:
        log.warning("the code changed after this job was submitted: then %s, now %s", submitted, current)
