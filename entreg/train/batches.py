"""Which images make a step: order from a seed and the epoch alone, never from the rank."""

from __future__ import annotations

import numpy as np


def shuffled(sizes: list[tuple[int, int]], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """An epoch's global batches of indices into `sizes`: each holds images of one size, each image is in one batch."""
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    batches = [
        order[k : k + batch_size]
        for order in (random.permutation(same).tolist() for same in _by_size(sizes))
        for k in range(0, len(order), batch_size)
    ]
    return [batches[i] for i in random.permutation(len(batches))]


def in_order(sizes: list[tuple[int, int]], batch_size: int) -> list[list[int]]:
    """Batches of images of one size, in the order given."""
    return [same[k : k + batch_size] for same in _by_size(sizes) for k in range(0, len(same), batch_size)]


def _by_size(sizes: list[tuple[int, int]]) -> list[list[int]]:
    return [[i for i, s in enumerate(sizes) if s == size] for size in sorted(set(sizes))]
