"""The precision and convolution of finished runs' features: the same for all, so that arms do not differ by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from entreg.config import Hardware
from entreg.distributed.precision import convolution_of, precision_of
from entreg.errors import SettingError
from entreg.study.finished_run import FinishedRun

Arithmetic = tuple[str, str]  # the precision of the backbone's products, and the algorithm of its convolutions


def choose(runs: Sequence[FinishedRun], kind: str, typed: Sequence[str]) -> str:
    """Set `hardware.precision` and `hardware.convolution` in all runs' configs; return the choice and its reason.

    They are those of the trainings, where these agree and a device of this kind supports them; then the stored features
    can be read on any machine. Otherwise they are this machine's defaults. Typed values override both.
    """
    recorded = {_recorded(run) for run in runs}
    chosen, why = None, ""
    if {"hardware.precision", "hardware.convolution"} & {*typed}:
        why = ", as typed"
    elif len(recorded) > 1:
        why = ", the defaults of this machine, because the trainings differ"
    else:
        (chosen,) = recorded
        if chosen is None:
            why = ", the defaults of this machine, because the trainings did not record theirs"
        elif _supports(runs[0].config.hardware, chosen, kind, runs[0].config.store.dtype):
            why = ", as in the trainings"
        else:
            why = f", the defaults of this machine, which does not support the trainings' ({chosen[0]}, {chosen[1]})"
            chosen = None
    for run in runs:
        hardware = run.config.hardware
        if chosen is None:
            precision = precision_of(hardware, kind)
            convolution = convolution_of(hardware, kind, precision, getattr(torch, run.config.store.dtype))
            chosen = str(precision).removeprefix("torch."), convolution
        hardware.precision, hardware.convolution = chosen
    assert chosen is not None
    return f"{chosen[0]} products, {chosen[1]} convolution{why}"


def _recorded(run: FinishedRun) -> Arithmetic | None:
    starts = run.folder.starts()
    recipe = starts[-1].get("features") if starts else None
    if not isinstance(recipe, dict) or not {"backbone_precision", "convolution"} <= recipe.keys():
        return None
    return recipe["backbone_precision"].removeprefix("torch."), recipe["convolution"]


def _supports(hardware: Hardware, arithmetic: Arithmetic, kind: str, stored: str) -> bool:
    wanted = replace(hardware, precision=arithmetic[0], convolution=arithmetic[1])
    try:
        convolution_of(wanted, kind, precision_of(wanted, kind), getattr(torch, stored))
    except SettingError:
        return False
    return True
