"""The loggers that a run reports to (`logger=[tensorboard,wandb,mlflow]`), which are imported only where they are used.

None of them can end a training: where one fails, the log warns once and the training goes on without it, since the
tables of the run hold everything.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from entreg.config import Config, Loggers
from entreg.errors import SettingError, brief
from entreg.runs.folder import RunFolder

log = logging.getLogger(__name__)

Rows = Sequence[Mapping[str, Any]]
PACKAGES = {  # what to install for each logger
    "tensorboard": ("TensorBoard", "tensorboard"),
    "wandb": ("Weights & Biases", "wandb"),
    "mlflow": ("MLflow", "mlflow"),
}


class ProgressLogger(Protocol):
    """What a training reports to."""

    def tell(self, history: Rows, steps: Rows) -> None:
        """Write those rows of metrics.csv and steps.csv that were not written yet."""

    def finish(self, pictures: Mapping[str, Path]) -> None:
        """Write the run's pictures, by name, and close."""


def check(loggers: Loggers) -> None:
    """Raise a SettingError where a logger's package is not installed."""
    for name in chosen(loggers):
        title, package = PACKAGES[name]
        if importlib.util.find_spec(package) is None:
            raise SettingError(
                f"logger={name} needs {title}, which is not installed here\n"
                f"  install it          pip install {package}\n"
                "  do without          logger=csv (the tables that every run writes)"
            )


def chosen(loggers: Loggers) -> list[str]:
    """Return the names of the loggers that are chosen."""
    return [name for name in PACKAGES if getattr(loggers, name) is not None]


class Reports:
    """All chosen loggers of a run. Each start goes on with the same run of each logger."""

    def __init__(self, config: Config, folder: RunFolder) -> None:
        self._loggers: dict[str, ProgressLogger] = {}
        for name in chosen(config.loggers):
            self._guarded(name, partial(self._begin, name, config, folder))

    def tell(self, history: Rows, steps: Rows) -> None:
        """Report the rows of metrics.csv and steps.csv that are new."""
        for name, logger in list(self._loggers.items()):
            self._guarded(name, partial(logger.tell, history, steps))

    def finish(self, pictures: Mapping[str, Path]) -> None:
        """Report the run's pictures, by name, and end."""
        for name, logger in list(self._loggers.items()):
            self._guarded(name, partial(logger.finish, pictures))

    def _begin(self, name: str, config: Config, folder: RunFolder) -> None:
        self._loggers[name] = _begun(name, config, folder)

    def _guarded(self, name: str, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # other people's packages raise errors of many kinds
            self._loggers.pop(name, None)
            log.warning(
                "logger=%s: %s; the training goes on without it, and its tables hold everything", name, brief(error)
            )


def _begun(name: str, config: Config, folder: RunFolder) -> ProgressLogger:
    if name == "tensorboard":
        from entreg.training.tensorboard_log import Board

        return Board(folder.board, config)
    if name == "wandb":
        from entreg.training.wandb_log import WandbRun

        return WandbRun(folder, config)
    from entreg.training.mlflow_log import MlflowRun

    return MlflowRun(folder, config)
