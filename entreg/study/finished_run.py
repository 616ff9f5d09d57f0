"""A finished training, read from its folder with the config that it was trained with.

No code from such a folder is run: the data sources that it names are looked up among those of entreg. Code of another
package that it names is called only where this job allows the package, see `runs/foreign_code.py`.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from entreg.config import Config, Data, Loss
from entreg.config.settings import resolved
from entreg.config.settings import settings_of as all_settings
from entreg.data.sources import settings_of
from entreg.errors import DataError, SettingError, UserError, brief
from entreg.features import backbone
from entreg.io import files
from entreg.io.sums import differing
from entreg.losses import losses
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.mixture import Mixture
from entreg.model.per_set import PerSet
from entreg.runs import checkpoint, foreign_code, migrations
from entreg.runs.folder import RunFolder
from entreg.study.training_sets import training_sets_of

log = logging.getLogger(__name__)

# the columns of a training's history that are read
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
# groups and settings for what a task does with finished runs, as opposed to how they were trained
OF_TASKS = ("task", "runs", "run", "images", "prediction", "published", "published_component", "study", "experiment")


@dataclass(frozen=True)
class FinishedRun:
    """A finished training: its folder, its saved config and its final checkpoint.

    fixed: a published model, which was not trained here, has no checkpoint, and has its file as its folder
    not_learned: sets that other runs of an evaluation learned from, and this one did not: it is judged on them, too
    in_folds: whether it is judged, in its own domain, beside the runs that left out the other folds of its set
    """

    folder: RunFolder
    config: Config
    state: dict[str, Any]
    fixed: DeepGaze3 | Mixture | None = None
    not_learned: tuple[Data, ...] = ()
    in_folds: bool = False

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The names of the data sets that it learned from, in their order."""
        return tuple(settings.name for settings in training_sets_of(self.config).sets)

    @property
    def left_out(self) -> dict[str, Data]:
        """The sets beside `ood` that judge it as foreign ones: by name, the one of `leave_out` first."""
        named = (
            {} if self.config.leave_out is None else {self.config.leave_out: self.config.sets[self.config.leave_out]}
        )
        return named | {settings.name: settings for settings in self.not_learned}

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of metrics.csv, one for each epoch."""
        rows: list[dict[str, Any]] = self.state["history"]
        return rows

    def learned(self) -> dict[str, float]:
        """Return the finalizer's parameters at the end of the training, or their means over a mixture's components."""
        if self.fixed is None:
            return {key: self.history[-1][key] for key in ("center_bias_weight", "sigma_px")}
        parameters = dict(self.fixed.named_parameters())
        return {
            key: float(torch.stack([value for name, value in parameters.items() if name.endswith(end)]).detach().mean())
            for key, end in (("center_bias_weight", ".center_bias_weight"), ("sigma_px", ".gauss.sigma"))
        }

    def own_numbers(self) -> dict[str, dict[str, float]]:
        """Return, by set, the numbers that it has of its own at the end of the training, see `OnSet.numbers`."""
        found: dict[str, dict[str, float]] = {}
        for column, value in ({} if self.fixed else self.history[-1]).items():
            number, _, of_set = column.partition(".")
            if of_set:
                found.setdefault(of_set, {})[number] = value
        return found

    def stability(self) -> dict[str, Any]:
        """Return whether the training diverged, and how far its last validation loss is from its best."""
        first, last = self.history[0], self.history[-1]
        best = min(row["validation_nll_nats"] for row in self.history)
        return {
            "epochs": len(self.history),
            "diverged": any(last[key] > first[key] for key in ("train_nll_nats", "validation_nll_nats")),
            "final_validation_nll_nats": last["validation_nll_nats"],
            "best_validation_nll_nats": best,
            "last_minus_best_nats": last["validation_nll_nats"] - best,
        }


def read(folder: RunFolder, composed: Config, typed: Sequence[str], *, loads_data: bool = True) -> FinishedRun:
    """Return a finished run with its saved config, in which only the values typed for this job are replaced.

    composed: this job's config, which holds the typed values; the devices and the folder of the stores, where this job
        writes, are always this job's
    typed: the keys of the typed values, see `typed_keys`
    loads_data: see `saved`
    """
    replaced = {key: getattr(composed, key) for key in {"data", "sets", "ood"} & {*typed}}
    cfg = saved(folder, replaced, loads_data=loads_data)
    cfg.allow = composed.allow
    before, store = cfg.paths.store, composed.paths.store
    for key in sorted(typed, key=lambda key: key.count(".")):  # ood=[NAME] before ood.NAME.limit=5
        if loads_data or key.partition(".")[0] not in ("data", "sets", "ood"):
            _replace(cfg, key, composed)
    for key in ("kind", "devices", "threads"):
        OmegaConf.update(cfg, f"hardware.{key}", getattr(composed.hardware, key))
    if before != store:
        log.info("%s: its features were in %s, those of this job are in %s (paths.store)", folder, before, store)
        _move(cfg, before, store)
        cfg.paths.store = store
    run = finished(folder, cfg)
    backbone.refuse_unallowed(run.config.model.backbone, composed.allow)
    return run


def typed_keys(words: Sequence[str] | None) -> list[str]:
    """Return the keys of the words that were typed for this job; that of `+data@ood.mylab=folder` is ood.mylab.

    words: see `RunFolder.read_typed`; None where nothing was typed
    """
    return [word.split("=", 1)[0].lstrip("+~").rpartition("@")[2] for word in words or []]


def saved(folder: RunFolder, replaced: Mapping[str, Any] | None = None, *, loads_data: bool = True) -> DictConfig:
    """Return the saved config under today's schemas. A setting that it lacks has its default, which means the same.

    replaced: `data`, `sets` and `ood` as wholes, in place of the saved ones
    loads_data: whether its data sets will be loaded. If not, only the settings that all data sets have are read of the
        training's sets, whatever their source, and none of the foreign sets
    """
    replaced = replaced or {}
    # what a folder says of what it may call does not count
    tree = {key: value for key, value in folder.read_config().items() if key not in replaced and key != "allow"}
    try:
        schemas: dict[str, Any] = {}
        if not loads_data:
            tree |= {"ood": {}} | {key: _of_all_sets(key, tree[key]) for key in {"data", "sets"} & {*tree}}
        if "data" in tree:
            schemas["data"] = _schema(folder, "data", tree["data"]) if loads_data else Data()
        if "loss" in tree:
            schemas["loss"] = _loss(folder, tree["loss"]["name"])
        for group in {"sets", "ood"} & {*tree}:
            schemas[group] = {
                name: _schema(folder, group, settings) if loads_data else Data()
                for name, settings in tree[group].items()
            }
        merged = OmegaConf.merge(OmegaConf.structured(Config(**schemas, **replaced)), tree)
    except UserError:
        raise
    except Exception as error:  # a malformed tree raises errors of many kinds
        raise _does_not_fit(folder, error) from error
    assert isinstance(merged, DictConfig)
    return merged


def finished(folder: RunFolder, cfg: DictConfig) -> FinishedRun:
    """Return the run with this folder and config, and its final checkpoint.

    Raises a DataError where the config or the checkpoint cannot be read.
    """
    state = _state_of(folder)
    _refuse_changed_config(folder, state)
    _refuse_changed_files(folder, state)
    try:
        run = FinishedRun(folder, resolved(cfg), state)
        backbone.check(run.config.model.backbone)
        _warn_of_other_packages(run)
        return run
    except SettingError as error:
        wrong = "; ".join(map(brief, str(error).splitlines()[:3]))
        raise DataError(f"{folder.config}: {wrong}; {files.WAY_OUT}") from error
    except OmegaConfBaseException as error:
        raise _does_not_fit(folder, error) from error


def _warn_of_other_packages(run: FinishedRun) -> None:
    """Log where the run calls a package of which another version is installed than it was trained with."""
    starts = run.folder.starts() if foreign_code.calls_of(run.config) else []
    if starts:
        foreign_code.warn_of_other_versions(run.folder, starts[-1].get("called_packages", {}), run.config)


def final_model(run: FinishedRun, channels: int) -> DeepGaze3:
    """Return the trained model in eval mode, on the CPU; channels: the number of channels of the features.

    Raises a DataError where the parameters do not fit.
    """
    numbers = run.config.model.per_set
    own = PerSet(run.state.get("sets", ()), numbers) if numbers else None
    model = DeepGaze3(channels, run.config.model.sigma_px, run.config.seed, own)
    try:
        model.load_state_dict(run.state["model"])
    except (RuntimeError, TypeError, AttributeError) as error:  # other names, shapes or types
        what = f"its parameters do not fit the model of its config: {brief(error)}; {files.WAY_OUT}"
        raise DataError(f"{run.folder.final}: {what}") from error
    return model.eval()


def _of_all_sets(key: str, tree: Any) -> Any:
    """Return the saved settings of a data set, or of several by name, without those that its source alone knows."""
    if key == "sets":
        return {name: _of_all_sets("data", settings) for name, settings in tree.items()}
    return {field.name: tree[field.name] for field in dataclasses.fields(Data) if field.name in tree}


def _schema(folder: RunFolder, key: str, tree: Any) -> Data:
    try:
        return settings_of(tree["source"])()
    except SettingError as error:
        raise DataError(
            f"{folder.config}: {brief(tree['source'])} is not a data source of this version of entreg.\n"
            f"  it is one of your own   type it: {key}=NAME, an option of your conf/"
        ) from error


def _loss(folder: RunFolder, name: Any) -> Loss:
    if name not in losses():
        known = ", ".join(losses())
        raise DataError(f"{folder.config}: {brief(name)} is not a loss of this version of entreg ({known})")
    return losses()[name]()


def _does_not_fit(folder: RunFolder, error: Exception) -> DataError:
    return DataError(f"{folder.config} does not fit this version of entreg: {brief(error)}; {files.WAY_OUT}")


def _state_of(folder: RunFolder) -> dict[str, Any]:
    """Return the final checkpoint. Raises a DataError where it is not what a training writes."""
    state = checkpoint.read(folder.final)
    wrong = None
    history, model, fingerprints = state.get("history"), state.get("model"), state.get("fingerprints")
    if not (isinstance(fingerprints, dict) and all(isinstance(digits, str) for digits in fingerprints.values())):
        wrong = "it has no fingerprints"
    elif not isinstance(model, dict) or not all(
        isinstance(value, Tensor) and bool(value.isfinite().all()) for value in model.values()
    ):
        wrong = "its parameters are missing or not finite"
    elif not isinstance(history, list) or not history or not all(_is_row(row) for row in history):
        wrong = "its history is missing or has other columns"
    elif not _is_plain(state.get("config")):
        wrong = "its config holds other things than settings"
    elif not _are_sums(state.get("file_sums", {})):
        wrong = "its sums of files are none"
    elif not _are_names(state.get("sets", [])):
        wrong = "its sets have no names"
    if wrong is not None:
        raise DataError(f"{folder.final}: is not the final checkpoint of a training: {wrong}; {files.WAY_OUT}")
    return state


def _refuse_changed_config(folder: RunFolder, state: dict[str, Any]) -> None:
    """Raise a DataError where the saved config, a text without a checksum, differs from the checkpoint's copy of it.

    Files may have moved since, and no result depends on the machine, so settings of these kinds may differ.
    """
    copy = state.get("config")
    if not isinstance(copy, dict):  # there is nothing to compare with
        return
    free = {setting.key for setting in all_settings(Config()) if setting.affects in ("location", "machine")}
    try:
        trained_with = _leaves(migrations.today(copy))
    except Exception as error:  # a malformed tree raises errors of many kinds
        what = f"its copy of the config cannot be read as that of a run: {brief(error)}; {files.WAY_OUT}"
        raise DataError(f"{folder.final}: {what}") from error
    saved_now = _leaves(folder.read_config())
    changed = sorted(
        key
        for key in saved_now.keys() & trained_with.keys() - free
        if saved_now[key] != trained_with[key] and key.rpartition(".")[2] != "root"
    )
    if changed:
        raise DataError(
            f"{folder.config} was changed after the training: {', '.join(changed)} is not what {folder.final.name} was "
            "trained with; restore it from a copy"
        )


def _refuse_changed_files(folder: RunFolder, state: dict[str, Any]) -> None:
    """Raise a DataError where a file that tells how the run came about is not the one of which the checkpoint knows.

    A run of an earlier version knows none. A plan may be removed, see `RunFolder.read_plan`.
    """
    changed = differing(folder.path, state.get("file_sums", {}))
    if not folder.plan.is_file():
        changed.pop(folder.plan.name, None)
    for name, what in changed.items():
        raise DataError(
            f"{folder.path / name} {what} after the training: its SHA-256 in {folder.final.name} is another; restore "
            "it from a copy, or leave the run out"
        )


def _leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: list(tree) if isinstance(tree, tuple) else tree}
    branches = (_leaves(branch, f"{prefix}.{name}".lstrip(".")) for name, branch in tree.items())
    return {key: leaf for leaves in branches for key, leaf in leaves.items()}


def _is_plain(tree: Any) -> bool:
    if isinstance(tree, dict):
        return all(isinstance(name, str) and _is_plain(value) for name, value in tree.items())
    if isinstance(tree, (list, tuple)):
        return all(_is_plain(value) for value in tree)
    return tree is None or isinstance(tree, (str, bool, int, float))


def _are_sums(tree: Any) -> bool:
    return isinstance(tree, dict) and all(isinstance(text, str) for pair in tree.items() for text in pair)


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _is_row(row: Any) -> bool:
    keys = [*HISTORY, *(key for key in row if "." in str(key))] if isinstance(row, dict) else []
    numbers = [row.get(key) for key in keys] or [None]
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
            f"{key} was typed, but the runs were not started with {name}. To evaluate them on it: "
            f"ood=[{name}] {key}=..."
        )
    value: Any = composed
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    if key == "paths.data":
        _move(cfg, cfg.paths.data, value)
    OmegaConf.update(cfg, key, value, merge=False, force_add=True)


def _move(cfg: DictConfig, before: str, now: str) -> None:
    """Expect the data sets that were below one folder below another one now; saved paths are absolute."""
    for settings in (cfg.data, *cfg.sets.values(), *cfg.ood.values()):
        for key in ("root", "unpacked"):
            if settings.get(key) and Path(settings[key]).is_relative_to(before):
                settings[key] = str(Path(now) / Path(settings[key]).relative_to(before))
