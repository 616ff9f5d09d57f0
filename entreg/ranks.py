"""What a process is among the processes of its run: its number, its share of the work, and sums over all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Item = TypeVar("Item")


class Stopped(Exception):
    """The run was asked to stop, and what it has so far is saved."""


class StopFlag:
    """Whether this process was asked to stop."""

    received = False


@dataclass(frozen=True)
class Groups:
    """Process groups of all ranks.

    steps: for what all ranks do at about the same time
    patient: for what may take hours on one of them, such as waiting for a feature store
    """

    steps: Any
    patient: Any


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of its run.

    stop: set by a signal's handler, see `run.signals`
    groups: None for a rank alone
    """

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")
    stop: StopFlag = field(default_factory=StopFlag)
    groups: Groups | None = None

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether this process was; the others may not have been, so that ranks have to agree."""
        return self.stop.received

    def stop_if_asked(self) -> None:
        """Stopped where this process was asked to: for what one process does while others, if any, wait."""
        if self.is_asked_to_stop:
            raise Stopped

    @property
    def is_first(self) -> bool:
        """Whether this process logs and writes files."""
        return self.rank == 0

    def mine(self, items: Sequence[Item]) -> Sequence[Item]:
        """This rank's share: every item is in exactly one rank's; shares may be empty."""
        return items[self.rank :: self.count]

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, in their order: all_reduce's order depends on where in the message a number stands."""
        return _sum(tensor, self.count, self._group())

    def differentiable_sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks through which gradients flow back to every rank."""
        return _Sum.apply(tensor, self.count, self._group()) if self.count > 1 else tensor

    def gather(self, item: Item, patient: bool = False) -> list[Item]:
        """Every rank's item, in the ranks' order, on all ranks; patient: where one may come hours after the others."""
        if self.count == 1:
            return [item]
        items: list[Any] = [None] * self.count
        dist.all_gather_object(items, item, group=self._group(patient))
        return items

    def first_does(self, work: Callable[[], None]) -> None:
        """The first rank's work, for which the others wait, hours if need be. Stopped on all ranks where it stopped."""
        stopped = False
        if self.is_first:
            try:
                work()
            except Stopped:
                stopped = True
        if self.gather(stopped, patient=True)[0]:
            raise Stopped

    def barrier(self) -> None:
        """Waits until every rank has come here."""
        if self.count > 1:
            dist.barrier(group=self._group())

    def _group(self, patient: bool = False) -> Any:
        if self.groups is None:
            return None
        return self.groups.patient if patient else self.groups.steps


def _sum(tensor: Tensor, count: int, group: Any) -> Tensor:
    if count == 1:
        return tensor
    of_ranks = [torch.empty_like(tensor) for _ in range(count)]
    dist.all_gather(of_ranks, tensor.contiguous(), group=group)
    total = of_ranks[0]
    for one in of_ranks[1:]:
        total += one
    return total


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, count: int, group: Any) -> Tensor:
        ctx.count, ctx.group = count, group
        return _sum(tensor, count, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _sum(gradients[0], ctx.count, ctx.group), None, None


def under_torchrun() -> bool:
    """Whether an outer torchrun has already started the ranks."""
    return "TORCHELASTIC_RUN_ID" in os.environ
