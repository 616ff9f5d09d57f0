"""A finished training, read from its folder with the config that it was trained with.

Nothing of such a folder is run: the data sources that it names are looked up among those of entreg.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from entreg import files
from entreg.config import Config, Data, Loss
from entreg.data.sources import settings_of
from entreg.errors import DataError, SettingError, UserError, brief
from entreg.features import backbone
from entreg.losses import losses
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.mixture import Mixture
from entreg.run import checkpoint, migrations
from entreg.run.folder import RunFolder
from entreg.settings import resolved
from entreg.settings import settings_of as all_settings

# what is read of a training's history, from every epoch
HISTORY = (
    "epoch",
    "lr",
    "train_nll_nats",
    "validation_nll_nats",
    "validation_ig_bits_per_fixation",
    "bias_entropy_nats",
    "center_bias_weight",
    "sigma_px",
)
# groups and settings that say what a task does with finished runs, not how they were trained
OF_TASKS = ("task", "runs", "run", "images", "prediction", "published", "published_component", "study", "experiment")


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


def read(folder: RunFolder, composed: Config, *, loads_data: bool = True) -> Run:
    """A finished run. Its own saved config counts; only what was typed for this job replaces parts of it.

    composed: this job's config, which holds the typed values. The devices are always this job's.
    loads_data: see `saved`
    """
    typed = typed_keys()
    replaced = {key: getattr(composed, key) for key in {"data", "ood"} & {*typed}}
    cfg = saved(folder, replaced, loads_data=loads_data)
    for key in sorted(typed, key=lambda key: key.count(".")):  # ood=[NAME] before ood.NAME.limit=5
        if loads_data or key.partition(".")[0] not in ("data", "ood"):
            _replace(cfg, key, composed)
    for key in ("kind", "devices", "threads"):
        OmegaConf.update(cfg, f"hardware.{key}", getattr(composed.hardware, key))
    return finished(folder, cfg)


def typed_keys() -> list[str]:
    """The keys of what was typed for this job; `+data@ood.mylab=folder` is ood.mylab."""
    words = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return [word.split("=", 1)[0].lstrip("+~").rpartition("@")[2] for word in words]


def saved(folder: RunFolder, replaced: Mapping[str, Any] | None = None, *, loads_data: bool = True) -> DictConfig:
    """The saved config under today's schemas; what it lacks has its default, which means what was done before.

    replaced: `data` and `ood` as wholes, in place of the saved ones
    loads_data: whether its data sets will be loaded; else only what all data sets have is read of the one that was
        trained on (its geometry), whatever its source, and nothing of foreign sets
    """
    replaced = replaced or {}
    tree = {key: value for key, value in folder.read_config().items() if key not in replaced}
    try:
        schemas: dict[str, Any] = {}
        if "data" in tree and loads_data:
            schemas["data"] = _schema(folder, "data", tree["data"])
        elif "data" in tree:
            known = [field.name for field in dataclasses.fields(Data)]
            tree["data"], schemas["data"] = {key: tree["data"][key] for key in known if key in tree["data"]}, Data()
        if "loss" in tree:
            schemas["loss"] = _loss(folder, tree["loss"]["name"])
        if "ood" in tree:
            tree["ood"] = tree["ood"] if loads_data else {}
            schemas["ood"] = {name: _schema(folder, "ood", one) for name, one in tree["ood"].items()}
        merged = OmegaConf.merge(OmegaConf.structured(Config(**schemas, **replaced)), tree)
    except UserError:
        raise
    except Exception as error:  # a tree of another form makes whatever stumble
        raise _does_not_fit(folder, error) from error
    assert isinstance(merged, DictConfig)
    return merged


def finished(folder: RunFolder, cfg: DictConfig) -> Run:
    """The run of this folder and config with its final checkpoint. DataError where one of them cannot be read."""
    state = _state_of(folder)
    _refuse_changed_config(folder, state)
    try:
        run = Run(folder, resolved(cfg), state)
        backbone.check(run.config.model.backbone)
        return run
    except SettingError as error:
        wrong = "; ".join(map(brief, str(error).splitlines()[:3]))
        raise DataError(f"{folder.config}: {wrong}; {files.WAY_OUT}") from error
    except OmegaConfBaseException as error:
        raise _does_not_fit(folder, error) from error


def final_model(run: Run, channels: int) -> DeepGaze3:
    """The model that was trained, in eval mode, on the CPU; channels: of the features.

    DataError where its parameters do not fit.
    """
    model = DeepGaze3(channels, run.config.model.sigma_px, run.config.seed)
    try:
        model.load_state_dict(run.state["model"])
    except (RuntimeError, TypeError, AttributeError) as error:  # names, shapes or types that are not this model's
        what = f"its parameters do not fit the model of its config: {brief(error)}; {files.WAY_OUT}"
        raise DataError(f"{run.folder.final}: {what}") from error
    return model.eval()


def _schema(folder: RunFolder, key: str, tree: Any) -> Data:
    try:
        return settings_of(tree["source"])()
    except SettingError as error:
        raise DataError(
            f"{folder.config}: {brief(tree['source'])} is no data source of this version of entreg.\n"
            f"  it is one of your own   type it: {key}=NAME, an option of your conf/"
        ) from error


def _loss(folder: RunFolder, name: Any) -> Loss:
    if name not in losses():
        raise DataError(f"{folder.config}: {brief(name)} is no loss of this version of entreg ({', '.join(losses())})")
    return losses()[name]()


def _does_not_fit(folder: RunFolder, error: Exception) -> DataError:
    return DataError(f"{folder.config} does not fit this version of entreg: {brief(error)}; {files.WAY_OUT}")


def _state_of(folder: RunFolder) -> dict[str, Any]:
    """The final checkpoint. DataError where it holds anything else than what a training leaves there."""
    state = checkpoint.read(folder.final)
    wrong = None
    history, model, fingerprints = state.get("history"), state.get("model"), state.get("fingerprints")
    if not (isinstance(fingerprints, dict) and all(isinstance(one, str) for one in fingerprints.values())):
        wrong = "it has no fingerprints"
    elif not isinstance(model, dict) or not all(
        isinstance(value, Tensor) and bool(value.isfinite().all()) for value in model.values()
    ):
        wrong = "its parameters are missing or not finite"
    elif not isinstance(history, list) or not history or not all(_is_row(row) for row in history):
        wrong = "its history is missing or has other columns"
    elif not _is_plain(state.get("config")):
        wrong = "its config holds other things than settings"
    if wrong is not None:
        raise DataError(f"{folder.final}: is no final checkpoint of a training: {wrong}; {files.WAY_OUT}")
    return state


def _refuse_changed_config(folder: RunFolder, state: dict[str, Any]) -> None:
    """The saved config is a text without a checksum: it is held against the one that the checkpoint keeps.

    Places may have moved since, and what is asked of machines is nothing that a result depends on.
    """
    kept = state.get("config")
    if not isinstance(kept, dict):  # nothing to hold it against
        return
    free = {one.key for one in all_settings(Config()) if one.changes in ("place", "machine")}
    try:
        theirs = _leaves(migrations.today(kept))
    except Exception as error:  # whatever is stumbled over in a tree of another form
        what = f"the config that it keeps cannot be read as that of a run: {brief(error)}; {files.WAY_OUT}"
        raise DataError(f"{folder.final}: {what}") from error
    ours = _leaves(folder.read_config())
    changed = sorted(
        key
        for key in ours.keys() & theirs.keys() - free
        if ours[key] != theirs[key] and key.rpartition(".")[2] != "root"
    )
    if changed:
        raise DataError(
            f"{folder.config} was changed after the training: {', '.join(changed)} is not what {folder.final.name} was "
            "trained with; restore it from a copy"
        )


def _leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: list(tree) if isinstance(tree, tuple) else tree}
    leaves = (_leaves(one, f"{prefix}.{name}".lstrip(".")) for name, one in tree.items())
    return {key: leaf for some in leaves for key, leaf in some.items()}


def _is_plain(tree: Any) -> bool:
    if isinstance(tree, dict):
        return all(isinstance(name, str) and _is_plain(one) for name, one in tree.items())
    if isinstance(tree, (list, tuple)):
        return all(_is_plain(one) for one in tree)
    return tree is None or isinstance(tree, (str, bool, int, float))


def _is_row(row: Any) -> bool:
    numbers = [row.get(key) for key in HISTORY] if isinstance(row, dict) else [None]
    return all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)


def _replace(cfg: DictConfig, key: str, composed: Config) -> None:
    if key.partition(".")[0] in OF_TASKS or key.startswith("hydra"):
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
