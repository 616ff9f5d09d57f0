"""Judged images that a model has seen: those that are, or nearly are, images that it was trained on.

Files of one content are one image. Two images are nearly the same where their thumbnails are: by a difference hash,
whether each of 16 x 16 places is darker than its right neighbour, which tells photos apart, and by the correlation of
their grey levels, which also tells drawings apart that leave most places white.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entreg import files
from entreg.data.images import thumbnail

# of 256 bits. Copies that were saved or resized anew differ by at most 23 (160 photos of OSIE), photos of different
# scenes by at least 46 (OSIE, scene50 and ETOCVD). Of cut-outs with 96 % of each side half are found, of smaller ones
# none.
NEAR_BITS = 32
# copies: at least 0.996, photos of different scenes: at most 0.94 (the same photos); a disc and a square: 0.92
NEAR_CORRELATION = 0.97
FLAT = 2.0  # grey levels: the standard deviation of thumbnails that show nothing, which are told apart by their mean


@dataclass(frozen=True)
class Looks:
    """What images are told by: the SHA-256 of each file, and thumbnails (n, 16, 17)."""

    digests: list[str]
    thumbnails: np.ndarray


def looks(paths: Sequence[Path]) -> Looks:
    """Of images on disk. DataError where one cannot be read."""
    with ThreadPoolExecutor() as pool:
        thumbnails = np.array(list(pool.map(thumbnail, paths)))  # first: it says what is wrong with a file
        return Looks(list(pool.map(files.sha256, paths)), thumbnails)


def same_or_nearly(judged: Looks, trained: Looks) -> list[int | None]:
    """For each judged image the number of the training image whose file it is, else of the one that it nearly is."""
    numbers: dict[str, int] = {}
    for number, digest in enumerate(trained.digests):
        numbers.setdefault(digest, number)
    near = nearly(judged.thumbnails, trained.thumbnails)
    return [numbers.get(digest, number) for digest, number in zip(judged.digests, near, strict=True)]


def nearly(judged: np.ndarray, trained: np.ndarray) -> list[int | None]:
    """For each judged image the number of the training image that it is, or nearly is; None where there is none.

    judged: (n, 16, 17) and trained: (m, 16, 17) thumbnails.
    """
    numbers: list[int | None] = []
    trained = trained.astype(np.float64)
    hashes, centred = _hash(trained), _centred(trained)
    scatter = trained.std((1, 2))
    for one in judged.astype(np.float64):
        bits = (_hash(one) != hashes).sum((1, 2))
        products = (centred * _centred(one)).mean((1, 2))
        is_alike = products >= NEAR_CORRELATION * scatter * one.std()
        if one.std() < FLAT:
            is_alike = (scatter < FLAT) & (np.abs(trained.mean((1, 2)) - one.mean()) < 1)
        found = np.flatnonzero(is_alike & (bits <= NEAR_BITS))
        numbers.append(int(found[bits[found].argmin()]) if len(found) else None)
    return numbers


def _hash(thumbnails: np.ndarray) -> np.ndarray:
    return thumbnails[..., 1:] > thumbnails[..., :-1]


def _centred(thumbnails: np.ndarray) -> np.ndarray:
    return thumbnails - thumbnails.mean((-2, -1), keepdims=True)
