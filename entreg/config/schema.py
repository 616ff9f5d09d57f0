"""The config of one job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from entreg.config.data import Data
from entreg.config.evaluation import Evaluation
from entreg.config.hardware import Hardware
from entreg.config.loggers import Loggers
from entreg.config.loss import Loss
from entreg.config.model import Model
from entreg.config.optim import Optim
from entreg.config.paths import Paths
from entreg.config.prediction import Predicting
from entreg.config.prior import Prior
from entreg.config.settings import MOST_SEED, Rule, group, groups, setting, settings_of
from entreg.config.store import Stored
from entreg.config.sweeping import Sweeping
from entreg.config.task import Task
from entreg.config.trainer import Training
from entreg.config.uniform import Uniform


@dataclass
class Config:
    """The config of one job."""

    task: Task = group(Task)
    model: Model = group(Model)
    data: Data = group(Data)
    ood: dict[str, Data] = groups(affects="evaluation")
    loss: Loss = group(Loss)
    optim: Optim = group(Optim)
    trainer: Training = group(Training)
    hardware: Hardware = group(Hardware)
    loggers: Loggers = group(Loggers)
    sweep: Sweeping = group(Sweeping)
    uniform: Uniform = group(Uniform)
    prior: Prior = group(Prior)
    store: Stored = group(Stored)
    paths: Paths = group(Paths)
    evaluation: Evaluation = group(Evaluation)
    seed: int = setting(
        0,
        "seed of the initial parameters and, where trainer.order_seed is null, of the batch order",
        affects="replicate",
        at_least=0,
        at_most=MOST_SEED,
    )
    study: str = setting(MISSING, "name that the runs of a sweep share; the same name resumes it", affects="location")
    runs: Any = setting(
        None, "runs to evaluate: a folder, a glob, or a list of them; null: the newest sweep", affects="evaluation"
    )
    run: str | None = setting(None, "folder of the finished run that predicts", affects="result", path=True)
    images: str | None = setting(None, "folder of the images to predict for", affects="result", path=True)
    prediction: Predicting = group(Predicting)
    published: str | None = setting(
        None,
        "file of a published DeepGaze IIE, whose DenseNet member is evaluated beside the runs",
        affects="evaluation",
        path=True,
    )
    published_component: int | None = setting(
        None,
        "number of the component in that file; null: the mixture of all components",
        affects="evaluation",
        at_least=0,
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong with the primary outcome, and where a published model is given without an evaluation."""
        primary = self.evaluation.primary
        known = [setting.key for setting in settings_of(self) if setting.affects == "result"]
        # another run may have another loss, with settings of its own: entreg/losses checks them
        unknown = [key for key in primary.arm if key not in known and not key.startswith("loss.")]
        if unknown:
            yield "evaluation.primary.arm", f"{', '.join(unknown)}: not a setting that affects results"
        if self.published is not None and self.task.name != "evaluate":
            yield "published", "it needs task=evaluate; model.init_from lets a training start from a file"
        if not all(
            isinstance(place, str) for place in (self.runs if isinstance(self.runs, list) else [self.runs or ""])
        ):
            yield "runs", "a folder, a glob, or a list of them"
        name = primary.domain.removeprefix("ood.")
        if primary.domain.startswith("ood.") and name not in self.ood:
            yield "evaluation.primary.domain", f"{name} is not a foreign set of this study (ood=[{','.join(self.ood)}])"

    @property
    def order_seed(self) -> int:
        """The seed of the batch order."""
        return self.seed if self.trainer.order_seed is None else self.trainer.order_seed

    def __post_init__(self) -> None:
        # a foreign set takes its key as its name
        for name, settings in self.ood.items():
            settings.name = name
        if self.data.geometry == "degrees":
            if self.data.model_px_per_degree is None:
                self.data.model_px_per_degree = self.data.px_per_degree
            for settings in (self.data, *self.ood.values()):
                settings.model_px_per_degree = self.data.model_px_per_degree
                settings.geometry = "degrees" if settings.geometry == "stretch" else settings.geometry
