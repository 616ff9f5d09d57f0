"""The finished trainings that are judged: found, and read with the config that each was trained with."""
from __future__ import annotations

import glob
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from entreg.config import Config, Data
from entreg.data.sources import settings_of_target
from entreg.errors import DataError, UserError
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.mixture import Mixture
from entreg.run import checkpoint
from entreg.run.folder import RunFolder, SweepFolder
from entreg.settings import resolved

log = logging.getLogger(__name__)

# what is read of a training's history, from every epoch
HISTORY = (
    "epoch", "lr", "train_nll_nats", "validation_nll_nats", "validation_ig_bits_per_fixation", "bias_entropy_nats",
    "center_bias_weight", "sigma_px",
)


@dataclass(frozen=True)
class Run:
    """A finished training: its folder, its saved config and its final checkpoint.

    fixed: a published model, which nobody trained here: it has no checkpoint, and its folder is its file
    """

    folder: RunFolder
    config: Config
    state: dict[str, Any]
    fixed: DeepGaze3 | Mixture | None = None

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of metrics.csv, one for each epoch."""
        return self.state["history"]

    def learned(self) -> dict[str, float]:
        """The finalizer's numbers at the end; of a mixture their means."""
        if self.fixed is None:
            return {key: self.history[-1][key] for key in ("center_bias_weight", "sigma_px")}
        parameters = dict(self.fixed.named_parameters())
        return {
            key: float(torch.stack([value for name, value in parameters.items() if name.endswith(end)]).detach().mean())
            for key, end in (("center_bias_weight", ".center_bias_weight"), ("sigma_px", ".gauss.sigma"))
        }

    def stability(self) -> dict[str, Any]:
        """Whether training went well: diverged, and how far the last validation loss is from the best."""
        first, last = self.history[0], self.history[-1]
        best = min(row["validation_nll_nats"] for row in self.history)
        return {
            "epochs": len(self.history),
            "diverged": any(last[key] > first[key] for key in ("train_nll_nats", "validation_nll_nats")),
            "final_validation_nll_nats": last["validation_nll_nats"],
            "best_validation_nll_nats": best,
            "last_minus_best_nats": last["validation_nll_nats"] - best,
        }


def find(pattern: str | None) -> tuple[list[RunFolder], list[RunFolder]]:
    """Finished trainings, and those left out since they are not finished or not even started.

    pattern: a run, a sweep, or a glob of either; None: the newest sweep under multirun/ with a finished training, else
    the trainings under outputs/. UserError with what to type where there is none.
    """
    if pattern is not None:
        places = sorted(Path(place) for place in glob.glob(os.path.expanduser(pattern)))
        if not places:
            raise UserError(f"runs={pattern}: there is no such folder (seen from {Path.cwd()})")
        folders = [folder for place in places for folder in SweepFolder(place).trainings()]
        finished = [folder for folder in folders if folder.is_trained]
        if not finished:
            raise UserError(f"runs={pattern}: no finished training there ({len(folders)} unfinished)")
    else:
        sweeps = [_trainings(path) for path in Path("multirun").glob("*")]
        sweeps = [sweep for sweep in sweeps if any(folder.is_trained for folder in sweep)]
        folders = max(sweeps, key=_finished_at) if sweeps else SweepFolder(Path("outputs")).trainings()
        finished = [folder for folder in folders if folder.is_trained]
        if not finished:
            raise UserError(
                f"There is no finished training under multirun/ or outputs/ of {Path.cwd()} to evaluate. "
                "Train one with\n  python train.py -m loss=nll,nll_entropy"
            )
    return finished, [folder for folder in folders if folder not in finished]


def _trainings(path: Path) -> list[RunFolder]:
    """Of one of the sweeps that lie about; one that cannot be read keeps nobody from the others."""
    try:
        return SweepFolder(path).trainings()
    except DataError as error:
        log.warning("%s; left out", error)
        return []


def read(folder: RunFolder, composed: Config) -> Run:
    """A finished run. Its own saved config counts; only what was typed for this evaluation replaces parts of it.

    composed: this evaluation's config, which holds the typed values. The devices are always this evaluation's.
    """
    cfg = _structured(folder, composed)
    for key in sorted(typed_keys(), key=lambda key: key.count(".")):  # ood=[NAME] before ood.NAME.limit=5
        _replace(cfg, key, composed)
    for key in ("kind", "devices", "threads"):
        OmegaConf.update(cfg, f"hardware.{key}", getattr(composed.hardware, key))
    try:
        return Run(folder, resolved(cfg), _state_of(folder))
    except OmegaConfBaseException as error:
        raise _does_not_fit(folder, error) from error


def typed_keys() -> list[str]:
    """The keys of what was typed for this evaluation; `+data@ood.mylab=folder` is ood.mylab."""
    words = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return [word.split("=", 1)[0].lstrip("+~").rpartition("@")[2] for word in words]


def _structured(folder: RunFolder, composed: Config) -> DictConfig:
    """The saved config under today's schemas; what it lacks has its default, which means what was done before.

    A function that it names is never imported: loaders are those of entreg, or what was typed for this evaluation.
    """
    saved = folder.read_config()
    for key in {"data", "ood"} & {*typed_keys()}:  # replaced as a whole
        del saved[key]
    try:
        data = _schema(folder, "data", saved["data"]) if "data" in saved else composed.data
        foreign = {name: _schema(folder, "ood", tree) for name, tree in saved["ood"].items()} if "ood" in saved else {}
        merged = OmegaConf.merge(OmegaConf.structured(Config(data=data, ood=foreign)), saved)
    except UserError:
        raise
    except Exception as error:  # a tree of another form makes whatever stumble
        raise _does_not_fit(folder, error) from error
    assert isinstance(merged, DictConfig)
    return merged


def _schema(folder: RunFolder, key: str, tree: Any) -> Data:
    settings = settings_of_target(tree["_target_"])
    if settings is None:
        raise DataError(
            f"{folder.config}: {tree['_target_']} is no data source of this version of entreg.\n"
            f"  it is one of your own   type it: {key}=NAME, an option of your conf/"
        )
    return settings()


def _does_not_fit(folder: RunFolder, error: Exception) -> DataError:
    return DataError(f"{folder.config} does not fit this version of entreg: {' '.join(str(error).split())}")


def _state_of(folder: RunFolder) -> dict[str, Any]:
    """The final checkpoint. DataError where it holds anything else than what a training leaves there."""
    state = checkpoint.read(folder.final)
    wrong = None
    history, model = state.get("history"), state.get("model")
    if not isinstance(state.get("fingerprints"), dict):
        wrong = "it has no fingerprints"
    elif not isinstance(model, dict) or not all(
        isinstance(value, Tensor) and bool(value.isfinite().all()) for value in model.values()
    ):
        wrong = "its parameters are missing or not finite"
    elif not isinstance(history, list) or not history or not all(_is_row(row) for row in history):
        wrong = "its history is missing or has other columns"
    if wrong is not None:
        raise DataError(f"{folder.final}: is no final checkpoint of a training: {wrong}")
    return state


def _is_row(row: Any) -> bool:
    numbers = [row.get(key) for key in HISTORY] if isinstance(row, dict) else [None]
    return all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)


def _finished_at(folders: list[RunFolder]) -> float:
    return max(folder.final.stat().st_mtime for folder in folders if folder.is_trained)


def _replace(cfg: DictConfig, key: str, composed: Config) -> None:
    if key in ("task", "runs", "study", "experiment", "published", "published_component") or key.startswith("hydra"):
        return
    group, _, rest = key.partition(".")
    name = rest.partition(".")[0]
    if group == "ood" and name and name not in composed.ood:  # ~ood.NAME
        cfg.ood.pop(name, None)
        return
    if group == "ood" and "." in rest and name not in cfg.ood:
        raise UserError(
            f"{key} was typed, but the runs were not started with {name}. Judge them on it: ood=[{name}] {key}=..."
        )
    value: Any = composed
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    if key == "paths.data":
        # saved roots are absolute: what lay under the old folder is looked for under the new one
        for settings in (cfg.data, *cfg.ood.values()):
            if settings.root and Path(settings.root).is_relative_to(cfg.paths.data):
                settings.root = str(Path(value) / Path(settings.root).relative_to(cfg.paths.data))
    OmegaConf.update(cfg, key, value, merge=False, force_add=True)
