"""The setting of how a training's progress is recorded."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class Logger:
    """How a training's progress is recorded. metrics.csv and steps.csv are always written."""

    name: str = setting(
        "csv",
        "csv: only the tables; tensorboard: also event files with settings and pictures",
        affects="machine",
        one_of=("csv", "tensorboard"),
    )
