"""The settings of the loggers to which a training reports its progress, beside the tables that it always writes."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class TensorBoard:
    """TensorBoard: event files in the run's folder."""


@dataclass
class WeightsAndBiases:
    """Weights & Biases: its files in the run's folder and, where it is online, its server."""

    project: str = setting("entreg", "project of Weights & Biases", affects="machine")
    entity: str | None = setting(None, "user or team; null: that of the login", affects="machine")
    mode: str = setting(
        "offline",
        "offline: only files, which `wandb sync` uploads later; online: to the server as well",
        affects="machine",
        one_of=("offline", "online"),
    )


@dataclass
class MLflow:
    """MLflow: a store of runs, as files or behind a server."""

    uri: str = setting("mlruns", "folder of the store, or the address of a server", affects="machine")
    experiment: str = setting("entreg", "name of the experiment", affects="machine")


@dataclass
class Loggers:
    """The loggers that are chosen (`logger=[tensorboard,wandb]`); each has a place of its own."""

    tensorboard: TensorBoard | None = None
    wandb: WeightsAndBiases | None = None
    mlflow: MLflow | None = None
