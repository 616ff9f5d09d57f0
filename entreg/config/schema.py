"""The config of one job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from entreg.config.data import Data, is_mit1003
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

# what `data` is where `sets` were chosen without it: the first of these in alphabetical order
FIRST_OF_SETS = Data(source="first_of_sets", name="first_of_sets")


@dataclass
class Config:
    """The config of one job."""

    task: Task = group(Task)
    model: Model = group(Model)
    data: Data = group(Data)
    sets: dict[str, Data] = groups(affects=None)
    sets_images: int | None = setting(
        None,
        "number of training images of all `sets` together, in equal shares; null: all that there are",
        affects="result",
        at_least=1,
    )
    sets_images_seed: int = setting(
        0, "seed by which the images of sets_images are drawn", affects="result", at_least=0, at_most=MOST_SEED
    )
    sets_weight: str = setting(
        "images",
        "what the mean NLL of several `sets` is over; images: each image counts the same; sets: each set does",
        affects="result",
        one_of=("images", "sets"),
    )
    leave_out: str | None = setting(
        None,
        "one of `sets` that the model does not learn from and is judged on as a foreign set; a sweep over all sets "
        "leaves each of them out once",
        affects="replicate",
    )
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
    allow: list[str] = setting(
        [],
        "packages whose code this job may call, where `_target_` of loss.regulariser or model.backbone.module names it",
        affects="machine",
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
        if primary.against == "single_sets" and self.task.name == "train" and not self.sets:
            yield "evaluation.primary.against", "single_sets are compared of models that learn from sets=[NAME,...]"
        yield from self._broken_rules_of_sets()

    @property
    def order_seed(self) -> int:
        """The seed of the batch order."""
        return self.seed if self.trainer.order_seed is None else self.trainer.order_seed

    @property
    def data_sets(self) -> dict[str, Data]:
        """The settings of each data set by its key: `data`, or `sets.NAME` for each of several, and `ood.NAME`."""
        trained = {f"sets.{name}": settings for name, settings in self.sets.items()} or {"data": self.data}
        return trained | {f"ood.{name}": settings for name, settings in self.ood.items()}

    def __post_init__(self) -> None:
        # a set takes its key as its name; a foreign one that is MIT1003 stays so, since published models have seen it
        for name, settings in (*self.sets.items(), *self.ood.items()):
            if name in self.sets or is_mit1003(name) or not is_mit1003(settings.name):
                settings.name = name
        # the order in which they were typed means nothing
        self.sets = dict(sorted(self.sets.items()))
        if self.sets and self.data.name == FIRST_OF_SETS.name:
            self.data = next(iter(self.sets.values()))
        elif self.data.name in self.sets:
            self.data = self.sets[self.data.name]
        if self.data.geometry == "degrees":
            if self.data.model_px_per_degree is None:
                self.data.model_px_per_degree = self.data.px_per_degree
            for settings in (self.data, *self.ood.values()):
                settings.model_px_per_degree = self.data.model_px_per_degree
                settings.geometry = "degrees" if settings.geometry == "stretch" else settings.geometry
        for settings in self.sets.values():
            if settings.geometry == "degrees" and settings.model_px_per_degree is None:
                settings.model_px_per_degree = self.data.model_px_per_degree or settings.px_per_degree

    def _broken_rules_of_sets(self) -> Iterator[Rule]:
        """Yield what is wrong with `data` beside several sets, and with settings that have no use without them."""
        if not self.sets:
            for name in ("sets_images", "leave_out"):
                if getattr(self, name) is not None:
                    yield name, "it needs several sets to learn from (sets=[NAME,...])"
        elif self.data.name not in self.sets:
            yield "data.name", f"the model learns from sets=[{','.join(self.sets)}], of which `data` is one"
        elif self.leave_out is not None and self.leave_out not in self.sets:
            yield "leave_out", f"one of sets=[{','.join(self.sets)}]"
        elif self.leave_out is not None and len(self.sets) == 1:
            yield "leave_out", "no other set is left to learn from; choose more (sets=[NAME,...])"
        if self.model.per_set and len(self.sets.keys() - {self.leave_out}) < 2:
            yield "model.per_set", "numbers of their own need two sets or more to learn from (sets=[NAME,NAME,...])"
