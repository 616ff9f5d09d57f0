"""One process alone writes into the folder of a run; another one leaves it a job of a sweep that both were given."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import submitit
from hydra.types import RunMode
from omegaconf import OmegaConf

from entreg.cli import sweep_table
from entreg.errors import SettingError
from entreg.io.leases import Lease, LeaseHeld
from entreg.runs import sweep_words
from entreg.runs.folder import RunFolder

log = logging.getLogger(__name__)


class WorkedOn(SettingError):
    """Another process is working on the run, so that this one changes nothing there."""


@contextmanager
def sole_writer(folder: RunFolder, hydra_config: Any) -> Iterator[None]:
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


def is_submitted() -> bool:
    """Return whether this process is a job that submitit has started, on a cluster or here."""
    try:
        submitit.JobEnvironment()
    except RuntimeError:
        return False
    return True


def is_left_to_another(error: Exception, folder: RunFolder, hydra_config: Any) -> bool:
    """Return whether another process works on this job of a sweep, as one does to which the same sweep was given.

    Whether the job has failed shows at the end of the sweep, see `sweep_table.printed_at_the_end`.
    """
    is_in_sweep = hydra_config.mode is RunMode.MULTIRUN and sweep_words.is_basic(hydra_config.sweeper)
    if not isinstance(error, WorkedOn) or not is_in_sweep or is_submitted():
        return False
    log.warning("%s", error)
    sweep_table.leave_to_another(folder)
    return True
