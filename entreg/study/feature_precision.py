"""The arithmetic by which finished runs are judged: arms differ by it only where their settings do."""

from __future__ import annotations

from collections.abc import Sequence
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


def choose(runs: Sequence[FinishedRun], kind: str, typed: Sequence[str]) -> str:
    """Set SETTINGS in all runs' configs; return the choice and its reason.

    It is the same for all runs with the same SETTINGS, such as `auto`, which may mean another one on each machine.
    It is that of their trainings, where these agree and a device of this kind supports it; then the stored features
    can be read on any machine. Otherwise it is what the settings mean on this machine. Typed values override both.
    """
    by_settings: dict[Arithmetic, list[FinishedRun]] = {}
    for run in runs:
        backbone, hardware = run.config.model.backbone, run.config.hardware
        as_set = Arithmetic(backbone.precision, hardware.convolution, hardware.precision)
        by_settings.setdefault(as_set, []).append(run)
    return "; ".join(dict.fromkeys(_choose(alike, kind, typed) for alike in by_settings.values()))


def _choose(runs: Sequence[FinishedRun], kind: str, typed: Sequence[str]) -> str:
    recorded = {_recorded(run) for run in runs}
    first, chosen, why = runs[0].config, None, ""
    if {*SETTINGS} & {*typed}:
        why = ", as typed"
    elif len(recorded) > 1:
        why = ", the defaults of this machine, because the trainings differ"
    else:
        (chosen,) = recorded
        if chosen is None:
            why = ", the defaults of this machine, because the trainings did not record theirs"
        elif _supports(first, chosen, kind):
            why = ", as in the trainings"
        else:
            words = ", ".join(chosen[:2])
            why = f", the defaults of this machine, which does not support the trainings' ({words})"
            chosen = None
    chosen = chosen or _arithmetic(first, kind)
    for run in runs:
        run.config.model.backbone.precision, run.config.hardware.convolution, run.config.hardware.precision = chosen
    return f"{chosen.backbone} products, {chosen.convolution} convolution{why}"


def _arithmetic(config: Config, kind: str) -> Arithmetic:
    """Return what the settings mean on a device. Raises a SettingError where it does not support them."""
    backbone, readout = backbone_precision_of(config.model.backbone, kind), precision_of(config.hardware, kind)
    convolution = convolution_of(config.hardware, kind, backbone, getattr(torch, config.store.dtype))
    return Arithmetic(_name(backbone), convolution, _name(readout))


def _recorded(run: FinishedRun) -> Arithmetic | None:
    starts = run.folder.starts()
    recipe = starts[-1].get("features") if starts else None
    if not isinstance(recipe, dict) or not {"backbone_precision", "convolution"} <= recipe.keys():
        return None
    # until they were two settings, the readout was computed in the backbone's precision
    readout = starts[-1].get("precision", recipe["backbone_precision"])
    return Arithmetic(_name(recipe["backbone_precision"]), recipe["convolution"], _name(readout))


def _supports(config: Config, arithmetic: Arithmetic, kind: str) -> bool:
    backbone = replace(config.model.backbone, precision=arithmetic.backbone)
    hardware = replace(config.hardware, precision=arithmetic.readout, convolution=arithmetic.convolution)
    try:
        _arithmetic(replace(config, model=replace(config.model, backbone=backbone), hardware=hardware), kind)
    except SettingError:
        return False
    return True


def _name(precision: object) -> str:
    return str(precision).removeprefix("torch.")
