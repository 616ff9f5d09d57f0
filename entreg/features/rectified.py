"""Features without the ReLUs whose inputs are taps as well: these are computed when features are read.

What a row of a store went through after the ReLU, subtraction of a mean, multiplication by a positive number and
rounding, keeps the order of numbers. So the stored ReLU is the greater of its stored input and of what 0 became,
to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor


class Relu(NamedTuple):
    """A tap that is the ReLU of another one: the first channel of each among all taps', and the number of channels."""

    first: int
    input: int
    channels: int


class Block(NamedTuple):
    """Channels `start` to `end` of the features: the stored ones from `source` on or, where `is_relu`, their ReLU."""

    start: int
    end: int
    source: int
    is_relu: bool


@dataclass(frozen=True)
class Layout:
    """Which of an image's channels are stored, and how: (cells, width).

    Where channels are left out, the floor, which is what 0 became, fills the last PADDING numbers of each cell.

    blocks: in the order of the features' channels; stored: the number of channels that are stored
    """

    blocks: tuple[Block, ...]
    stored: int

    @cached_property
    def has_relus(self) -> bool:
        """Whether channels are left out."""
        return any(block.is_relu for block in self.blocks)

    @cached_property
    def width(self) -> int:
        """The number of numbers of a cell."""
        return self.stored + (PADDING if self.has_relus else 0)

    def row(self, features: Tensor) -> Tensor:
        """Return what is stored of the features (cells, C) of an image: (cells, width)."""
        if not self.has_relus:
            return features
        kept = [features[:, block.start : block.end] for block in self.blocks if not block.is_relu]
        relus = [features[:, block.start : block.end].amin() for block in self.blocks if block.is_relu]
        # the least of a ReLU's numbers is what 0 became; where no input is below 0, any smaller number does
        floor = torch.stack(relus).amin().expand(len(features), PADDING)
        return torch.cat([*kept, floor], 1)

    def features(self, row: Tensor) -> Tensor | Rectified:
        """Return the features of an image from its row, as a view of it."""
        return Rectified(row, self.blocks) if self.has_relus else row


# Cells a power of 2 of bytes apart, as those of 4 * 512 channels would be, fall into the same few places of the cache.
# The compiled step reads whole vectors of 16 numbers.
PADDING = 16


@dataclass(frozen=True)
class Rectified:
    """The features (cells, C) of an image, of which ReLUs are computed when they are read.

    stored: (cells, width), contiguous; blocks: see `Layout`
    """

    stored: Tensor
    blocks: tuple[Block, ...]

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, cells: slice) -> Rectified:
        return Rectified(self.stored[cells], self.blocks)

    @property
    def floor(self) -> Tensor:
        """What 0 became, of the stored dtype: ()."""
        return self.stored[0, -1]

    @property
    def shape(self) -> tuple[int, int]:
        """As a tensor's: cells and channels."""
        return len(self.stored), self.blocks[-1].end

    @property
    def dtype(self) -> torch.dtype:
        """As a tensor's."""
        return self.stored.dtype

    def to(self, device: torch.device) -> Rectified:
        """As a tensor's."""
        return Rectified(self.stored.to(device), self.blocks)

    def full(self) -> Tensor:
        """Return all channels: (cells, C)."""
        return self.write(self.stored.new_empty(self.shape))

    def write(self, to: Tensor) -> Tensor:
        """Write all channels to memory of any dtype (cells, C), and return it."""
        floor = self.floor.to(to.dtype)
        for start, end, source, is_relu in self.blocks:
            block = to[:, start:end].copy_(self.stored[:, source : source + end - start])
            if is_relu:
                torch.maximum(block, floor, out=block)
        return to


Features = Tensor | Rectified


def full(features: Features) -> Tensor:
    """Return all channels of an image's features: (cells, C)."""
    return features.full() if isinstance(features, Rectified) else features


def layout(channels: int, relus: Sequence[Relu]) -> Layout:
    """Return how features of so many channels are stored."""
    starts = sorted({0, *(relu.first for relu in relus), *(relu.first + relu.channels for relu in relus)} - {channels})
    inputs = {relu.first: relu.input for relu in relus}
    stored: dict[int, int] = {}  # the place of each channel at which a stored block begins
    count = 0
    for start, end in zip(starts, [*starts[1:], channels], strict=True):
        if start not in inputs:
            stored[start] = count
            count += end - start

    def source(channel: int) -> int:
        begin = max(start for start in stored if start <= channel)
        return stored[begin] + channel - begin

    blocks = [
        Block(start, end, source(inputs.get(start, start)), start in inputs)
        for start, end in zip(starts, [*starts[1:], channels], strict=True)
    ]
    return Layout(tuple(blocks), count)
