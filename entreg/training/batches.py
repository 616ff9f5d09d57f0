"""The batches of an epoch. Their order follows from the seed and the epoch alone, so that all ranks agree on it."""

from __future__ import annotations

import numpy as np

from entreg.units import Size


def shuffled(sizes: list[Size], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return an epoch's global batches of indices into `sizes`.

    Each batch holds images of one size, and each image is in one batch.
    """
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    batches = [
        order[start : start + batch_size]
        for order in (random.permutation(images).tolist() for images in _by_size(sizes))
        for start in range(0, len(order), batch_size)
    ]
    return [batches[i] for i in random.permutation(len(batches))]


def in_order(sizes: list[Size], batch_size: int) -> list[list[int]]:
    """Return batches of images of one size, in the order given."""
    return [
        images[start : start + batch_size] for images in _by_size(sizes) for start in range(0, len(images), batch_size)
    ]


def _by_size(sizes: list[Size]) -> list[list[int]]:
    """Return the indices of the images of each size."""
    return [[i for i, other in enumerate(sizes) if other == size] for size in sorted(set(sizes))]
