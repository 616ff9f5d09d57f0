"""The ranks of a run: each rank's number, its share of the work, and sums over all ranks."""

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
    """The run was asked to stop and has saved its state."""


class StopFlag:
    """A flag that is set when this process is asked to stop."""

    received = False


@dataclass(frozen=True)
class Groups:
    """The process groups of all ranks.

    steps: for work that all ranks do at about the same time
    patient: for work that may take hours on one rank, such as waiting for a feature store
    """

    steps: Any
    patient: Any


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of its run.

    stop: the flag that a signal handler sets, see `signals`
    groups: None for a single rank
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = torch.device("cpu")
    stop: StopFlag = field(default_factory=StopFlag)
    groups: Groups | None = None

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether this process was asked to stop. Other ranks may not have been, so ranks have to agree."""
        return self.stop.received

    def stop_if_asked(self) -> None:
        """Raise Stopped where this process was asked to stop. Call it only in work that the other ranks wait for."""
        if self.is_asked_to_stop:
            raise Stopped

    @property
    def is_first(self) -> bool:
        """Whether this process logs and writes files."""
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this rank's share of the items. Every item belongs to exactly one rank, and shares may be empty."""
        return items[self.rank :: self.world_size]

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over ranks, which may overwrite the tensor."""
        return _sum(tensor, self.world_size, self._group())

    def differentiable_sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over ranks, through which gradients flow back to every rank."""
        if self.world_size == 1:
            return tensor
        total: Tensor = _Sum.apply(tensor, self.world_size, self._group())
        return total

    def gather(self, item: Item, patient: bool = False) -> list[Item]:
        """Return every rank's item, in the order of the ranks, on all ranks.

        patient: whether one rank may arrive hours after the others
        """
        if self.world_size == 1:
            return [item]
        items: list[Any] = [None] * self.world_size
        dist.all_gather_object(items, item, group=self._group(patient))
        return items

    def on_first_rank(self, work: Callable[[], None]) -> None:
        """Do work on the first rank while the others wait, for hours if necessary.

        Raises Stopped on all ranks where the work raised it.
        """
        stopped = False
        if self.is_first:
            try:
                work()
            except Stopped:
                stopped = True
        if self.gather(stopped, patient=True)[0]:
            raise Stopped

    def barrier(self) -> None:
        """Wait until every rank has reached this point."""
        if self.world_size > 1:
            dist.barrier(group=self._group())

    def _group(self, patient: bool = False) -> Any:
        if self.groups is None:
            return None
        return self.groups.patient if patient else self.groups.steps


def _sum(tensor: Tensor, world_size: int, group: Any) -> Tensor:
    if world_size == 1:
        return tensor
    terms = [torch.empty_like(tensor) for _ in range(world_size)]
    dist.all_gather(terms, tensor.contiguous(), group=group)
    # added in the order of the ranks, so that all ranks get the same bits
    total = terms[0]
    for term in terms[1:]:
        total += term
    return total


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, world_size: int, group: Any) -> Tensor:
        ctx.world_size, ctx.group = world_size, group
        return _sum(tensor, world_size, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _sum(gradients[0], ctx.world_size, ctx.group), None, None


def under_torchrun() -> bool:
    """Return whether an outer torchrun has already started the ranks."""
    return "TORCHELASTIC_RUN_ID" in os.environ
