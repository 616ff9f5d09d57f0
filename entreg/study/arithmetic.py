"""How the features are computed that finished runs read: one way for all, so that arms do not differ by arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from entreg.config import Hardware
from entreg.errors import SettingError
from entreg.run.hardware import convolution_of, precision_of
from entreg.study.finished import Run

Way = tuple[str, str]  # precision of the backbone's products, algorithm of its convolutions


def settle(runs: Sequence[Run], kind: str, typed: Sequence[str]) -> str:
    """Settles `hardware.precision` and `hardware.convolution` in all runs' configs; says in words how, and why.

    As in the trainings where these agree and a device of this kind can do it: then the features that they have stored
    are read, on whatever machine. Else all as this machine does by itself. What was typed counts above all.
    """
    ways = {_recorded(run) for run in runs}
    way, why = None, ""
    if {"hardware.precision", "hardware.convolution"} & {*typed}:
        why = ", as typed"
    elif len(ways) > 1:
        why = ", as this machine does by itself: the trainings did it in different ways"
    else:
        (way,) = ways
        if way is None:
            why = ", as this machine does by itself: the trainings do not tell how they did it"
        elif _can(runs[0].config.hardware, way, kind, runs[0].config.store.dtype):
            why = ", as in the trainings"
        else:
            why = f", as this machine does by itself: it cannot do it as the trainings did ({way[0]}, {way[1]})"
            way = None
    for run in runs:
        hardware = run.config.hardware
        if way is None:
            precision = precision_of(hardware, kind)
            found = convolution_of(hardware, kind, precision, getattr(torch, run.config.store.dtype))
            way = str(precision).removeprefix("torch."), found
        hardware.precision, hardware.convolution = way
    assert way is not None
    return f"{way[0]} products, {way[1]} convolution{why}"


def _recorded(run: Run) -> Way | None:
    starts = run.folder.starts()
    made = starts[-1].get("features") if starts else None
    if not isinstance(made, dict) or not {"backbone_precision", "convolution"} <= made.keys():
        return None
    return made["backbone_precision"].removeprefix("torch."), made["convolution"]


def _can(hardware: Hardware, way: Way, kind: str, stored: str) -> bool:
    wanted = replace(hardware, precision=way[0], convolution=way[1])
    try:
        convolution_of(wanted, kind, precision_of(wanted, kind), getattr(torch, stored))
    except SettingError:
        return False
    return True
