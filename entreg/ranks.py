"""What a process is among the processes of its run: its number, its share of the work, and sums over all of them."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Item = TypeVar("Item")


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of its run."""

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def is_first(self) -> bool:
        """Whether this process logs and writes files."""
        return self.rank == 0

    def mine(self, items: Sequence[Item]) -> Sequence[Item]:
        """This rank's share: every item is in exactly one rank's; shares may be empty."""
        return items[self.rank :: self.count]

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, in place."""
        if self.count > 1:
            dist.all_reduce(tensor)
        return tensor

    def differentiable_sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks through which gradients flow back to every rank."""
        return _Sum.apply(tensor) if self.count > 1 else tensor

    def gather(self, item: Item) -> list[Item]:
        """Every rank's item, in the ranks' order, on all ranks."""
        if self.count == 1:
            return [item]
        items: list[Any] = [None] * self.count
        dist.all_gather_object(items, item)
        return items

    def barrier(self) -> None:
        """Waits until every rank has come here."""
        if self.count > 1:
            dist.barrier()


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(_, gradient)


def under_torchrun() -> bool:
    """Whether an outer torchrun has already started the ranks."""
    return "TORCHELASTIC_RUN_ID" in os.environ
