"""The learning rate, which falls by equal factors at milestones, in the study from 10^-2.8 to 10^-6.8."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from entreg.config import Optim


def milestones(shares: list[float], epochs: int) -> list[int]:
    """Return the epochs after which the learning rate falls: ceil(share * epochs) within 1..epochs-1.

    Where two milestones coincide, the rate falls by both factors. A training of a single epoch has no milestones.
    """
    if epochs == 1:
        return []
    # 1e-9: 0.28 * 25 is 7.000000000000001 in floating point, and means 7
    return [min(max(math.ceil(share * epochs - 1e-9), 1), epochs - 1) for share in shares]


def adam(
    parameters: Iterable[torch.nn.Parameter], optim: Optim, epochs: int
) -> tuple[torch.optim.Adam, torch.optim.lr_scheduler.LambdaLR]:
    """Return Adam and its schedule, which takes a step after each epoch."""
    optimizer = torch.optim.Adam(parameters, lr=optim.lr)
    steps = milestones(optim.milestones, epochs)
    factor = (optim.lr_final / optim.lr) ** (1 / len(steps)) if steps else 1.0

    def share(epoch: int) -> float:
        """Return the share of the first learning rate after `epoch` epochs, which have passed their milestones."""
        return factor ** sum(step <= epoch for step in steps)

    # MultiStepLR would keep its milestones in a Counter, which PyTorch before 2.4 does not load from a safe checkpoint
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)
