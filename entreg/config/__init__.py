"""The settings of a job: what each means, its default, unit and range, and what it affects.

The options under conf/ state where they differ from these defaults, and the command that uses them. Hydra checks names
and types when it composes a config. `settings.check` adds the ranges, for every job of a sweep before the first one
starts. `settings.resolved` turns the config into these dataclasses, so that no task handles a DictConfig.
"""

from __future__ import annotations

from entreg.config.data import Data, Download, PublishedData, is_mit1003
from entreg.config.evaluation import Evaluation, Primary
from entreg.config.hardware import Hardware
from entreg.config.loggers import Loggers, MLflow, TensorBoard, WeightsAndBiases
from entreg.config.loss import Loss
from entreg.config.model import OWN, PER_SET, Backbone, Model
from entreg.config.optim import MILESTONES, Optim
from entreg.config.paths import Paths
from entreg.config.prediction import Predicting
from entreg.config.prior import Prior
from entreg.config.schema import FIRST_OF_SETS, Config
from entreg.config.store import Stored
from entreg.config.task import Task
from entreg.config.trainer import Training
from entreg.config.uniform import Uniform

__all__ = [
    "FIRST_OF_SETS",
    "MILESTONES",
    "OWN",
    "PER_SET",
    "Backbone",
    "Config",
    "Data",
    "Download",
    "Evaluation",
    "Hardware",
    "Loggers",
    "Loss",
    "MLflow",
    "Model",
    "Optim",
    "Paths",
    "Predicting",
    "Primary",
    "Prior",
    "PublishedData",
    "Stored",
    "Task",
    "TensorBoard",
    "Training",
    "Uniform",
    "WeightsAndBiases",
    "is_mit1003",
]
