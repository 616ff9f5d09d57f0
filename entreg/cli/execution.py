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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from entreg import tasks
from entreg.cli import typed_choices
from entreg.cli.next_steps import after_training, how_to_go_on
from entreg.cli.sole_writer import is_left_to_another, is_submitted, sole_writer
from entreg.config import Config
from entreg.config.settings import resolved
from entreg.data import sources
from entreg.errors import DataError, RankFailed, SettingError, UserError, brief
from entreg.io import files
from entreg.runs.folder import RunFolder, SweepFolder
from entreg.runs.provenance import code_version

log = logging.getLogger(__name__)

# errors of system calls that a person can mend; they do not mean that the code is wrong
SYSTEM_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}


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
            warn_of_other_code(SweepFolder(Path(hydra_config.sweep.dir)))
        result = performed(cfg, hydra_config, folder)
    except KeyboardInterrupt:
        is_sweep = hydra_config.mode is RunMode.MULTIRUN
        place = Path(hydra_config.sweep.dir) if is_sweep else folder.path
        print(f"\ninterrupted: {how_to_go_on(place, is_sweep=is_sweep)}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if is_left_to_another(error, folder, hydra_config):
            return None
        if submitted:
            # Hydra hands the exception to the waiting client, and SLURM would report COMPLETED
            atexit.register(os._exit, 1)
        raise job_failed(error, folder) from None
    # a sweep ends with a table of its runs, and other tasks say what they have written
    if hydra_config.mode is RunMode.RUN and folder.is_trained and os.environ.get("RANK", "0") == "0":
        print(after_training(folder), flush=True)
    return result


def performed(cfg: DictConfig, hydra_config: Any, folder: RunFolder) -> Any:
    """Check a job's config, run its task in its folder, and return what the task returns. A failure is recorded there.

    hydra_config: Hydra's own part of the config, which `cfg` lacks
    """
    config = checked(cfg)
    refuse_start(config, cfg, hydra_config, folder)
    with sole_writer(folder, hydra_config), failure_recorded(folder):
        return tasks.perform(config, folder)


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
    typed_choices.refuse_other_names(cfg, config, list(hydra_config.overrides.task))
    if config.sets:
        typed_choices.refuse_settings_of_data(config, list(hydra_config.overrides.task))
    if folder is not None:
        folder.refuse_other_config(config)
    if folder is None or not folder.config.is_file():  # a run that goes on has its choices in its folder
        typed_choices.refuse_unsaid(cfg, config, hydra_config.runtime.choices)


@contextmanager
def failure_recorded(folder: RunFolder) -> Iterator[None]:
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


def job_failed(error: Exception, folder: RunFolder) -> JobFailed:
    """Return the error that ends the job, with its folder and its log."""
    return JobFailed(f"{_message(error)}\n(run {folder}, log {folder.log})")


def _message(error: Exception) -> str:
    """Return the message of an error that a person can mend, else the traceback."""
    if isinstance(error, (UserError, RankFailed)):
        return str(error)
    if isinstance(error, OSError) and error.errno in SYSTEM_ERRORS:
        return f"{error.filename or 'a file'}: {error.strerror}"
    return f"rank {os.environ.get('RANK', '0')} failed:\n{''.join(traceback.format_exception(error))}"


def warn_of_other_code(sweep: SweepFolder) -> None:
    """Warn where the code changed after the submission: a job reads the code only when it starts."""
    submitted, current = sweep.submitted_code.read_text().strip(), code_version()
    if submitted != current:
        log.warning("the code changed after this job was submitted: then %s, now %s", submitted, current)
