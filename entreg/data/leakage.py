"""Find images that a model is trained and evaluated on: those that are, or nearly are, the same.

Two files of the same content are the same image. Two images are nearly the same where their thumbnails agree both in a
difference hash and in the correlation of their grey levels. The hash says of each of 16 x 16 places whether it is
darker than its right neighbour, and tells photos apart; the correlation also tells drawings apart that are mostly
white.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Of 256 bits. Copies that were saved or resized anew differ in at most 23 (160 photos of OSIE), photos of different
# scenes in at least 46 (OSIE, scene50 and ETOCVD). Half of the cut-outs with 96 % of each side are found, and none of
# the smaller ones.
NEAR_BITS = 32
# Copies correlate by at least 0.996, photos of different scenes by at most 0.94 (the same photos), a disc and a square
# by 0.92.
NEAR_CORRELATION = 0.97
FLAT = 2.0  # grey levels: thumbnails with a smaller standard deviation show nothing and are compared by their mean


@dataclass(frozen=True)
class ImageHashes:
    """What images are recognised by: the SHA-256 of each file, and thumbnails (n, 16, 17)."""

    digests: list[str]
    thumbnails: np.ndarray

    def at(self, numbers: Sequence[int]) -> ImageHashes:
        """Return those of some of the images."""
        return ImageHashes([self.digests[number] for number in numbers], self.thumbnails[list(numbers)])


def matches(images: ImageHashes, trained: ImageHashes) -> list[int | None]:
    """Return for each image the number of the training image with the same file, else of the one that it nearly is."""
    numbers: dict[str, int] = {}
    for number, digest in enumerate(trained.digests):
        numbers.setdefault(digest, number)
    near = near_matches(images.thumbnails, trained.thumbnails)
    return [numbers.get(digest, number) for digest, number in zip(images.digests, near, strict=True)]


def near_matches(thumbnails: np.ndarray, trained: np.ndarray) -> list[int | None]:
    """Return for each thumbnail the number of the training image that it nearly shows; None where there is none.

    thumbnails: (n, 16, 17); trained: (m, 16, 17), those of the training images
    """
    numbers: list[int | None] = []
    trained = trained.astype(np.float64)
    hashes, centred = _hash(trained), _centred(trained)
    stds = trained.std((1, 2))
    for thumbnail in thumbnails.astype(np.float64):
        bits = (_hash(thumbnail) != hashes).sum((1, 2))
        covariances = (centred * _centred(thumbnail)).mean((1, 2))
        is_alike = covariances >= NEAR_CORRELATION * stds * thumbnail.std()
        if thumbnail.std() < FLAT:
            is_alike = (stds < FLAT) & (np.abs(trained.mean((1, 2)) - thumbnail.mean()) < 1)
        candidates = np.flatnonzero(is_alike & (bits <= NEAR_BITS))
        numbers.append(int(candidates[bits[candidates].argmin()]) if len(candidates) else None)
    return numbers


def _hash(thumbnails: np.ndarray) -> np.ndarray:
    """Return the difference hashes: (..., 16, 16), bool."""
    return thumbnails[..., 1:] > thumbnails[..., :-1]


def _centred(thumbnails: np.ndarray) -> np.ndarray:
    """Return the thumbnails less their means."""
    return np.asarray(thumbnails - thumbnails.mean((-2, -1), keepdims=True))
