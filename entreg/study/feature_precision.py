"""The arithmetic by which finished runs are judged: arms differ by it only where their settings do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from entreg.config import Config
from entreg.distributed.precision import backbone_precision_of, convolution_of, precision_of
from entreg.errors import SettingError
from entreg.study.finished_run import FinishedRun

# the settings that it comes from, in the order of Arithmetic
SETTINGS = "model.backbone.precision", "hardware.convolution", "hardware.precision"


class Arithmetic(NamedTuple):
    """The precision of the backbone's products, the algorithm of its convolutions, the readout's precision."""

    backbone: str
    convolution: str
    readout: str


SETTING_OF = dict(zip(Arithmetic._fields, SETTINGS, strict=True))


def choose(runs: Sequence[FinishedRun], kind: str, typed: Sequence[str]) -> str:
    """Set SETTINGS in all runs' configs; return the choice and its reason.

    It is the same for all runs with the same SETTINGS, such as `auto`, which may mean another one on each machine.
    It is that of their trainings, where these agree and a device of this kind supports it; then the stored features
    can be read on any machine. Otherwise it is what the settings mean on this machine. Typed settings mean what they
    say, and the others remain as they would be.
    """
    by_settings: dict[Arithmetic, list[FinishedRun]] = {}
    for run in runs:
        by_settings.setdefault(_settings(run.config), []).append(run)
    return "; ".join(dict.fromkeys(_choose(alike, kind, typed) for alike in by_settings.values()))


def _choose(runs: Sequence[FinishedRun], kind: str, typed: Sequence[str]) -> str:
    recorded = {_recorded(run) for run in runs}
    first, chosen = runs[0].config, None
    fixed = {field: value for field, value in _settings(first)._asdict().items() if SETTING_OF[field] in typed}
    if len(fixed) == len(SETTINGS):
        why = "as typed"
    elif len(recorded) > 1:
        why = "the defaults of this machine, because the trainings differ"
    else:
        (of_training,) = recorded
        if of_training is None:
            why = "the defaults of this machine, because the trainings did not record theirs"
        else:
            why = "as in the trainings"
            try:
                chosen = _meant(first, of_training._replace(**fixed), kind)
            except SettingError:
                words = ", ".join(of_training)
                beside = f" beside {_listed(fixed)}" if fixed else ""
                why = f"the defaults of this machine, which does not support the trainings' ({words}){beside}"
    if fixed and len(fixed) < len(SETTINGS):
        why = f"{_listed(fixed)} as typed, the rest {why}"
    chosen = chosen or _meant(first, _settings(first), kind)
    for run in runs:
        run.config.model.backbone.precision, run.config.hardware.convolution, run.config.hardware.precision = chosen
    return f"{chosen.backbone} products, {chosen.convolution} convolution, {chosen.readout} readout: {why}"


def _settings(config: Config) -> Arithmetic:
    return Arithmetic(config.model.backbone.precision, config.hardware.convolution, config.hardware.precision)


def _listed(fixed: Mapping[str, str]) -> str:
    return " and ".join(f"{SETTING_OF[field]}={value}" for field, value in fixed.items())


def _meant(config: Config, settings: Arithmetic, kind: str) -> Arithmetic:
    """Return what settings mean on a device. Raises a SettingError where it does not support them."""
    of_backbone = replace(config.model.backbone, precision=settings.backbone)
    hardware = replace(config.hardware, precision=settings.readout, convolution=settings.convolution)
    backbone, readout = backbone_precision_of(of_backbone, kind), precision_of(hardware, kind)
    convolution = convolution_of(hardware, kind, backbone, getattr(torch, config.store.dtype))
    return Arithmetic(_name(backbone), convolution, _name(readout))


def _recorded(run: FinishedRun) -> Arithmetic | None:
    starts = run.folder.starts()
    recipe = starts[-1].get("features") if starts else None
    if not isinstance(recipe, dict) or not {"backbone_precision", "convolution"} <= recipe.keys():
        return None
    # until they were two settings, the readout was computed in the backbone's precision
    readout = starts[-1].get("precision", recipe["backbone_precision"])
    return Arithmetic(_name(recipe["backbone_precision"]), recipe["convolution"], _name(readout))


def _name(precision: object) -> str:
    return str(precision).removeprefix("torch.")
