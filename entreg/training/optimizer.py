"""The optimiser that takes the steps of a training: any of torch.optim's that `optimizer_check` lets pass."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import torch
from torch.optim import Optimizer

from entreg.config import Optim


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


def optimizer_of(parameters: Iterable[torch.nn.Parameter], optim: Optim) -> Optimizer:
    """Return the optimiser of these parameters."""
    optimizer: Optimizer = optimizers()[optim.name](parameters, lr=optim.lr, **optim.settings)
    return optimizer
