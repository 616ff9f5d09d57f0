"""The optimiser that takes the steps of a training: any of torch.optim's that `optimizer_check` lets pass."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import torch
from torch.optim import Optimizer

from entreg.config import Optim
from entreg.model.deepgaze3 import DeepGaze3

# How much faster sets' own numbers learn than all else. A step of Adam's moves a parameter by about the learning rate:
# at that of the networks, the fifty steps of a small training before its rate falls would move a scale by 8 % at most
FASTER = 10


def classes_in(module: ModuleType, base: type) -> dict[str, Any]:
    """Return the public classes of a module that inherit from `base`, by name."""
    return {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base and not name.startswith("_")
    }


def optimizers() -> dict[str, Any]:
    """Return the optimisers of this PyTorch, by name. Some of them cannot train the model."""
    return classes_in(torch.optim, Optimizer)


def groups_of(model: DeepGaze3, lr: float) -> list[dict[str, Any]]:
    """Return the parameters with their learning rates: one group, or two where sets have numbers of their own."""
    if model.per_set is None:
        return [{"params": [*model.parameters()]}]
    shared = [parameter for name, parameter in model.named_parameters() if not name.startswith("per_set.")]
    return [{"params": shared}, {"params": [*model.per_set.parameters()], "lr": FASTER * lr}]


def optimizer_of(parameters: Iterable[torch.nn.Parameter | dict[str, Any]], optim: Optim) -> Optimizer:
    """Return the optimiser of these parameters, or of groups of them.

    Where nothing else is set, Adam steps all parameters by one function, which takes a fifth of the time.
    """
    settings = dict(optim.settings)
    if optim.name in ("Adam", "AdamW") and not settings.keys() & {"foreach", "differentiable"}:
        settings = {"fused": True} | settings
    optimizer: Optimizer = _without_compiler(optimizers()[optim.name])(parameters, lr=optim.lr, **settings)
    return optimizer


def _without_compiler(kind: Any) -> Any:
    """Return an optimiser's class whose functions do not import PyTorch's compiler, which takes seconds.

    Those of torch.optim (seen in 2.14) import torch._dynamo at their first call, only to tell it to leave them alone,
    also where nothing is compiled. They keep the function that it would return at `__dynamo_disable`.
    """

    def step(self: Any, *closure: Any) -> Any:
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            return inspect.unwrap(kind.step)(self, *closure)

    for function in (inspect.unwrap(value) for value in vars(Optimizer).values() if hasattr(value, "__wrapped__")):
        vars(function).setdefault("__dynamo_disable", function)
    return type(kind.__name__, (kind,), {"step": step})
