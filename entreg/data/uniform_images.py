"""Uniform images, which are constant over pixels and channels. A model's prediction for them is its bias map."""

from __future__ import annotations

import numpy as np

from entreg.config import Uniform


def levels(settings: Uniform) -> list[float]:
    """Return the normalised intensities: the given ones, or else `images` ones evenly spaced over 0..1.

    A single intensity is 0.5.
    """
    if settings.levels is not None:
        return list(settings.levels)
    if settings.images == 1:
        return [0.5]
    return [i / (settings.images - 1) for i in range(settings.images)]


class UniformImages:
    """Uniform images of one size (H, W), from which a feature store is built."""

    def __init__(self, intensities: list[float], size: tuple[int, int]) -> None:
        self._intensities, self._size = intensities, size
        self.names = [f"uniform {level:.4f}" for level in intensities]
        self.sizes = [size] * len(intensities)
        self.contents = [f"uniform {level!r}" for level in intensities]

    def read(self, i: int) -> np.ndarray:
        """Return image i, (H, W, 3) float32, with the value intensity * 255: the model's input range is 0..255."""
        return np.full((*self._size, 3), self._intensities[i] * 255, dtype=np.float32)
