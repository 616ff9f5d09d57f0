"""The batches of an epoch. Their order follows from the seed and the epoch alone, so that all ranks agree on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from entreg.units import Size

Kind = TypeVar("Kind", Size, tuple[str, Size])  # the size (H, W) of an image, or its set and its size


def shuffled(kinds: Sequence[Kind], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return an epoch's global batches of indices into `kinds`, which says of each image what its batch must share.

    Each batch holds images of one kind, and each image is in one batch.
    """
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    batches = [
        order[start : start + batch_size]
        for order in (random.permutation(images).tolist() for images in _by_kind(kinds))
        for start in range(0, len(order), batch_size)
    ]
    return [batches[i] for i in random.permutation(len(batches))]


def in_order(kinds: Sequence[Kind], batch_size: int) -> list[list[int]]:
    """Return batches of images of one kind, in the order given."""
    return [
        images[start : start + batch_size] for images in _by_kind(kinds) for start in range(0, len(images), batch_size)
    ]


def _by_kind(kinds: Sequence[Kind]) -> list[list[int]]:
    """Return the indices of the images of each kind."""
    return [[i for i, other in enumerate(kinds) if other == kind] for kind in sorted(set(kinds))]
