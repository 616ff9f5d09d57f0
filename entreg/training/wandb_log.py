"""The progress of a training in Weights & Biases (logger=wandb)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from entreg.config import Config
from entreg.runs.folder import RunFolder, plain
from entreg.training.logged_rows import AXES, LoggedRows


class WandbRun:
    """A run of Weights & Biases. A training that goes on reports to the same run, by its id."""

    def __init__(self, folder: RunFolder, config: Config) -> None:
        settings = config.loggers.wandb
        assert settings is not None
        self._told = LoggedRows(folder, "wandb")
        self._id = self._told.run or uuid.uuid4().hex[:8]
        folder.path.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            mode="offline" if settings.mode == "offline" else "online",
            dir=str(folder),
            id=self._id,
            resume="allow",
            name=f"{config.study}/{folder.path.name}",
            config=plain(config),
            settings=wandb.Settings(console="off", silent=True),
        )
        for axis in AXES:
            self._run.define_metric(f"{axis}/*", step_metric=axis)

    def tell(self, history: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> None:
        """Write those rows of metrics.csv and steps.csv that were not written yet."""
        for figures in self._told.new(history, steps):
            self._run.log(figures)
        self._told.remember(self._id, history, steps)

    def finish(self, pictures: Mapping[str, Path]) -> None:
        """Write the run's pictures, by name, and end."""
        self._run.log({name: wandb.Image(str(path)) for name, path in pictures.items()})
        self._run.finish()
