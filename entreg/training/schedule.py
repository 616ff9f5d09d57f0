"""The learning rate, which by default falls by equal factors at milestones, in the study from 10^-2.8 to 10^-6.8."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from entreg.config import MILESTONES, Optim
from entreg.training.optimizer import classes_in


def milestones(shares: list[float], epochs: int) -> list[int]:
    """Return the epochs after which the learning rate falls: ceil(share * epochs) within 1..epochs-1.

    Where two milestones coincide, the rate falls by both factors. A training of a single epoch has no milestones.
    """
    if epochs == 1:
        return []
    # 1e-9: 0.28 * 25 is 7.000000000000001 in floating point, and means 7
    return [min(max(math.ceil(share * epochs - 1e-9), 1), epochs - 1) for share in shares]


def schedules() -> dict[str, Any]:
    """Return the schedules of this PyTorch, by name. Some of them cannot step after each epoch by itself."""
    return classes_in(lr_scheduler, LRScheduler)


def schedule_of(optimizer: Optimizer, optim: Optim, epochs: int) -> LRScheduler:
    """Return the schedule of the optimiser's learning rate, which takes a step after each epoch."""
    if optim.schedule != MILESTONES:
        schedule: LRScheduler = schedules()[optim.schedule](optimizer, **optim.schedule_settings)
        return schedule
    steps = milestones(optim.milestones, epochs)
    factor = (optim.lr_final / optim.lr) ** (1 / len(steps)) if steps else 1.0

    def share(epoch: int) -> float:
        """Return the share of the first learning rate after `epoch` epochs, which have passed their milestones."""
        return factor ** sum(step <= epoch for step in steps)

    # MultiStepLR would keep its milestones in a Counter, which PyTorch before 2.4 does not load from a safe checkpoint
    return LambdaLR(optimizer, share)
