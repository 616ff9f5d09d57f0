"""Which runs are judged, what each was trained with, and how they form arms."""
from __future__ import annotations

import glob
import importlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from entreg import config as schemas
from entreg.config import Config, resolved
from entreg.engine import checkpoint, run_folder, sweep
from entreg.errors import DataError, UserError
from entreg.losses import regularises

log = logging.getLogger(__name__)

# differences between runs that do not make them different arms: seeds are averaged, the rest changes no result
NOT_AN_ARM = ("seed", "study", "runs", "paths.", "hardware.", "task.", "evaluation.", "data.root", "ood.root")
YET_AN_ARM = ("hardware.precision", "hardware.convolution")
# settings that the baseline has no use for
ENTROPY_ONLY = ("lambda_entropy", "every", "normalisation", "aggregation", "center_bias")


@dataclass(frozen=True)
class Run:
    """A finished training: its folder, its saved config and its final checkpoint."""

    folder: Path
    config: Config
    state: dict[str, Any]

    @property
    def regularises(self) -> bool:
        return regularises(self.config.loss)


@dataclass(frozen=True)
class Arm:
    """Runs that differ by their seed alone."""

    name: str
    runs: tuple[Run, ...]
    settings: dict[str, Any]  # of the keys by which the arms differ

    @property
    def is_baseline(self) -> bool:
        return not self.runs[0].regularises

    @property
    def seeds(self) -> list[int]:
        return [run.config.seed for run in self.runs]


def find(pattern: str | None) -> tuple[list[Path], list[Path]]:
    """Folders of finished trainings, and of those left out since they are not finished or not even started.

    pattern: a run, a sweep, or a glob of either; None: the newest sweep under multirun/ with a finished training, else
    the trainings under outputs/. Prints what to type and exits with 2 where there is none.
    """
    if pattern is not None:
        places = sorted(Path(place) for place in glob.glob(os.path.expanduser(pattern)))
        if not places:
            raise UserError(f"runs={pattern}: there is no such folder (seen from {Path.cwd()})")
        folders = [folder for place in places for folder in _trainings(place)]
        finished = [folder for folder in folders if _final(folder).is_file()]
        if not finished:
            raise UserError(f"runs={pattern}: no finished training there ({len(folders)} unfinished)")
    else:
        sweeps = [_trainings(sweep) for sweep in Path("multirun").glob("*")]
        sweeps = [sweep for sweep in sweeps if any(_final(folder).is_file() for folder in sweep)]
        folders = max(sweeps, key=_finished_at) if sweeps else _trainings(Path("outputs"))
        finished = [folder for folder in folders if _final(folder).is_file()]
        if not finished:
            print(
                f"There is no finished training under multirun/ or outputs/ of {Path.cwd()} to evaluate. Train one with\n"
                "  python train.py -m loss=nll,nll_entropy", file=sys.stderr,
            )
            sys.exit(2)
    return finished, [folder for folder in folders if folder not in finished]


def load(folder: Path, composed: Config) -> Run:
    """A finished run. Its own saved config counts; only what was typed for this evaluation replaces parts of it.

    composed: this evaluation's config, which holds the typed values. The devices are always this evaluation's.
    """
    saved = run_folder.read_config(folder)
    cfg = _typed(saved)
    typed = [text for text in HydraConfig.get().overrides.task] if HydraConfig.initialized() else []
    for text in typed:
        key = text.split("=", 1)[0].lstrip("+~")
        _replace(cfg, key.split("@")[-1] if "." not in key else key, composed)
    for key in ("kind", "devices", "threads"):
        OmegaConf.update(cfg, f"hardware.{key}", getattr(composed.hardware, key))
    return Run(folder, resolved(cfg), checkpoint.load(_final(folder)))


def arms_of(runs: list[Run]) -> tuple[list[Arm], list[str]]:
    """Arms, baselines first, and the full keys by which they differ (whatever was swept, the seed aside).

    An arm is named by its loss, of which lambda 0 makes `nll`; where one occurs with several settings they are appended.
    Of runs that differ by nothing but what they have no use for one counts: the log names the others.
    """
    settings = [_settings(run.config) for run in runs]
    # a key that some runs have no use for (lambda, for the baseline) tells arms apart only among those that have one
    keys = sorted(key for key in set().union(*settings) if len({repr(s[key]) for s in settings if key in s}) > 1)
    groups: dict[tuple, list[Run]] = {}
    for run, tree in zip(runs, settings):
        seeds = groups.setdefault(tuple(repr(tree.get(key)) for key in keys), [])
        same = next((other for other in seeds if other.config.seed == run.config.seed), None)
        if same is None:
            seeds.append(run)
        else:
            log.info("%s is the same run as %s: it counts once", run.folder, same.folder)
    trees = [_settings(group[0].config) for group in groups.values()]
    losses = [tree["loss.name"] for tree in trees]
    arms = []
    for group, tree in zip(groups.values(), trees):
        own = {key: tree.get(key) for key in keys}
        name = tree["loss.name"]
        if losses.count(name) > 1:
            name += "".join(_suffix(k, v) for k, v in own.items() if k != "loss.name" and v is not None)
        arms.append(Arm(name, tuple(sorted(group, key=lambda run: run.config.seed)), own))
    return sorted(arms, key=lambda arm: (not arm.is_baseline, arm.runs[0].config.loss.lambda_entropy)), keys


def baseline_of(arm: Arm, arms: list[Arm]) -> Arm | None:
    """The baseline that differs from the arm by its loss alone, else the first one; None where there is none."""
    alone = {"loss.name", *(f"loss.{key}" for key in ENTROPY_ONLY)}

    def others(a: Arm) -> dict[str, Any]:
        return {key: value for key, value in a.settings.items() if key not in alone}

    baselines = [a for a in arms if a.is_baseline]
    return next((a for a in baselines if others(a) == others(arm)), baselines[0] if baselines else None)


def _trainings(place: Path) -> list[Path]:
    places = [place, *sorted(place.glob("*"), key=lambda p: (len(p.name), p.name))]
    found = [folder for folder in places if (folder / ".hydra/config.yaml").is_file()]
    found = [folder for folder in found if run_folder.read_config(folder)["task"]["name"] == "train"]
    # a run writes its config when its data and features are there: before, its sweep alone knows of it
    planned = [folder for folder in sweep.planned(place) if not (folder / ".hydra/config.yaml").is_file()]
    return found + planned


def _final(folder: Path) -> Path:
    return folder / "checkpoints/final.pt"


def _finished_at(folders: list[Path]) -> float:
    return max(_final(folder).stat().st_mtime for folder in folders if _final(folder).is_file())


def _typed(saved: dict[str, Any]) -> DictConfig:
    def schema(tree: dict[str, Any] | None) -> Any:
        if tree is None:
            return None
        module = importlib.import_module(tree["_target_"].rsplit(".", 1)[0])
        kinds = {kind.__name__.lower(): kind for kind in schemas.Data.__subclasses__()}
        return kinds[module.__name__.rsplit(".", 1)[1]]()

    try:
        base = OmegaConf.structured(Config(data=schema(saved["data"]), ood=schema(saved["ood"])))
        return OmegaConf.merge(base, saved)
    except Exception as error:
        raise DataError(f"a saved config does not fit this version of entreg: {error}") from error


def _replace(cfg: DictConfig, key: str, composed: Config) -> None:
    if key in ("task", "runs", "study", "experiment") or key.startswith("hydra"):
        return
    value = composed
    for part in key.split("."):
        value = getattr(value, part)
    if key == "paths.data":
        # saved roots are absolute: what lay under the old folder is looked for under the new one
        for role in ("data", "ood"):
            root = cfg[role] and cfg[role].root
            if root and Path(root).is_relative_to(cfg.paths.data):
                cfg[role].root = str(Path(value) / Path(root).relative_to(cfg.paths.data))
    OmegaConf.update(cfg, key, value, merge=False)


def _settings(config: Config) -> dict[str, Any]:
    tree = run_folder.plain(config)
    if not regularises(config.loss):
        # what no step of this run has used cannot tell it from another
        for key in ENTROPY_ONLY:
            tree["loss"].pop(key)
        tree["loss"]["name"] = "nll"
    flat = {}

    def walk(node: dict[str, Any], prefix: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            elif not f"{prefix}{key}".startswith(NOT_AN_ARM) or f"{prefix}{key}" in YET_AN_ARM:
                flat[prefix + key] = value

    walk(tree, "")
    return flat


def _suffix(key: str, value: Any) -> str:
    name = key.rsplit(".", 1)[1] if key.startswith("loss.") else key
    text = f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")
    return f"_{name.removesuffix('_entropy')}{text}"
