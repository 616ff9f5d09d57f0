"""Whether an optimiser and a schedule of PyTorch's can train the model: only PyTorch knows, so both are tried."""

from __future__ import annotations

import inspect
import io
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from entreg.config import MILESTONES, Optim
from entreg.config.settings import nearest
from entreg.errors import SettingError, brief
from entreg.training.optimizer import FASTER, optimizer_of, optimizers
from entreg.training.schedule import schedule_of, schedules

# a scalar, a vector, a matrix and kernels, as the model has them
SHAPES = ((), (3,), (3, 2), (3, 2, 1, 1))
MOST_EPOCHS = 1000  # of a schedule that are tried
# parameters of a schedule that no setting can give
NO_SETTINGS = {
    "lr_lambda": "it is made of functions",
    "schedulers": "it is made of other schedules",
    "metrics": "it needs a validation loss at each step",
}


def check(optim: Optim, epochs: int, per_set: bool = False) -> None:
    """Raise a SettingError where the optimiser or the schedule is unknown or cannot train the model.

    An optimiser must step without a closure on dense parameters of any shape, to finite values, not upwards, and as far
    as the learning rate says. A schedule must step after each epoch by itself, to finite rates that are not negative.

    per_set: whether sets have numbers of their own, whose learning rate the schedule must keep apart
    """
    if optim == Optim(lr=optim.lr, lr_final=optim.lr_final, milestones=optim.milestones):
        return  # Adam can, and PyTorch takes a second to prepare the trial
    known = optimizers()
    if optim.name not in known:
        raise SettingError(f"optim.name={optim.name}: torch.optim has no such optimiser{nearest(optim.name, known)}")
    _try(f"optim.name={optim.name}", Optim(name=optim.name), 1)
    _refuse_unknown("optim.settings", optim.name, known[optim.name], optim.settings)
    _try(f"optim.settings={optim.settings}", Optim(name=optim.name, lr=optim.lr, settings=optim.settings), 1)
    if optim.schedule != MILESTONES:
        _check_schedule(optim, epochs, per_set)


def _check_schedule(optim: Optim, epochs: int, per_set: bool) -> None:
    known = schedules()
    typed = f"optim.schedule={optim.schedule}"
    if optim.schedule not in known:
        near = nearest(optim.schedule, [MILESTONES, *known])
        raise SettingError(f"{typed}: torch.optim.lr_scheduler has no such schedule{near}")
    kind = known[optim.schedule]
    for name in (*_parameters(kind), *_parameters(kind.step)):
        if name in NO_SETTINGS:
            raise SettingError(f"{typed} cannot be used here: {NO_SETTINGS[name]}")
    _refuse_unknown("optim.schedule_settings", optim.schedule, kind, optim.schedule_settings)
    _try(f"{typed} with optim.schedule_settings={optim.schedule_settings}", optim, epochs, per_set)


def _refuse_unknown(key: str, name: str, kind: type, settings: Mapping[str, Any]) -> None:
    """Raise a SettingError where a setting is none of the optimiser's or the schedule's own."""
    given = ("params", "lr", "optimizer", "last_epoch")  # what it gets from elsewhere
    known = [parameter for parameter in _parameters(kind) if parameter not in given]
    for setting in settings:
        if setting == "lr":
            raise SettingError(f"{key}.lr: the learning rate has a setting of its own, optim.lr")
        if setting not in known:
            raise SettingError(f"{key}.{setting}: {name} has no such setting{nearest(setting, known)}")


def _parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def _try(typed: str, optim: Optim, epochs: int, per_set: bool = False) -> None:
    """Take a step for each epoch on small parameters. Raises a SettingError that begins with what was typed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            why = _why_unfit(optim, epochs, per_set)
    except Exception as error:  # they refuse what they cannot do by errors of many kinds
        why = f"PyTorch says: {brief(error)}"
    if why is not None:
        raise SettingError(f"{typed} cannot train the model: {why}")


def _why_unfit(optim: Optim, epochs: int, per_set: bool) -> str | None:
    """Return in words what went wrong although PyTorch raised nothing."""
    parameters = [torch.nn.Parameter(torch.ones(shape)) for shape in SHAPES]
    of_sets = {"params": parameters[:1], "lr": FASTER * optim.lr}
    optimizer = optimizer_of([{"params": parameters[1:]}, of_sets] if per_set else parameters, optim)
    schedule = schedule_of(optimizer, optim, epochs)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    for epoch in range(min(epochs, MOST_EPOCHS)):
        optimizer.step()
        if epoch == 0 and not all(bool((parameter <= 1).all()) for parameter in parameters):  # nan is not, either
            return "a step with a gradient of 1 does not lower the parameters"
        schedule.step()
        rate, *rate_of_sets = schedule.get_last_lr()
        if not 0 <= rate < float("inf"):
            return f"after epoch {epoch + 1} the learning rate is {rate}"
        if per_set and not math.isclose(rate_of_sets[0], FASTER * rate):
            return f"it sets one rate for all, and sets' own numbers (model.per_set) learn {FASTER} times as fast"
    # a training goes on from what a checkpoint can hold
    saved = io.BytesIO()
    torch.save([optimizer.state_dict(), schedule.state_dict()], saved)
    saved.seek(0)
    torch.load(saved, weights_only=True)
    if not _stands_still_at_rate_zero(optimizer, parameters):
        return "its steps do not follow the learning rate, so every schedule would be ignored"
    return None


def _stands_still_at_rate_zero(optimizer: Optimizer, parameters: list[torch.nn.Parameter]) -> bool:
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step()  # which may still be computed with the rate that the step before it has left, as ASGD's is
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer.step()
    return all(torch.equal(now, then) for now, then in zip(parameters, before, strict=True))
