"""The progress of a training in MLflow (logger=mlflow)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from entreg.config import Config
from entreg.config.settings import settings_of
from entreg.runs.folder import RunFolder
from entreg.training.logged_rows import AXES, LoggedRows

MOST = 100  # metrics, or parameters, in one request
LONGEST = 500  # characters of a parameter


class MlflowRun:
    """A run of MLflow. A training that goes on reports to the same run, by its id."""

    def __init__(self, folder: RunFolder, config: Config) -> None:
        settings = config.loggers.mlflow
        assert settings is not None
        uri = settings.uri
        if "://" not in uri:
            uri = Path(uri).expanduser().absolute().as_uri()
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # without it, MLflow 3.7 and newer refuse folders
        self._client, self._told = MlflowClient(tracking_uri=uri), LoggedRows(folder, "mlflow")
        if self._told.run is not None:
            self._id = self._told.run
            self._client.update_run(self._id, status="RUNNING")
            return
        known = self._client.get_experiment_by_name(settings.experiment)
        experiment = known.experiment_id if known else self._client.create_experiment(settings.experiment)
        self._id = self._client.create_run(experiment, run_name=f"{config.study}/{folder.path.name}").info.run_id
        parameters = [Param(setting.key, str(setting.value)[:LONGEST]) for setting in settings_of(config)]
        for first in range(0, len(parameters), MOST):
            self._client.log_batch(self._id, params=parameters[first : first + MOST])

    def tell(self, history: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> None:
        """Write those rows of metrics.csv and steps.csv that were not written yet."""
        now_ms = int(time.time() * 1000)
        metrics = [
            Metric(key, float(value), now_ms, int(next(figures[axis] for axis in AXES if axis in figures)))
            for figures in self._told.new(history, steps)
            for key, value in figures.items()
            if key not in AXES
        ]
        for first in range(0, len(metrics), MOST):
            self._client.log_batch(self._id, metrics=metrics[first : first + MOST])
        self._told.remember(self._id, history, steps)

    def finish(self, pictures: Mapping[str, Path]) -> None:
        """Write the run's pictures, by name, and end."""
        for path in pictures.values():
            self._client.log_artifact(self._id, str(path), "figures")
        self._client.set_terminated(self._id)
