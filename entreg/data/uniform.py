"""Uniform images: constant over pixels and channels. What a model predicts for them is its bias map."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from entreg.config import Uniform
from entreg.errors import SettingError


def levels(settings: Uniform) -> list[float]:
    """Normalised intensities: the given ones, else `images` of them evenly spaced over 0..1 (a single one: 0.5).

    SettingError: an empty list is given.
    """
    if settings.levels is not None:
        if not settings.levels:
            raise SettingError("uniform.levels is empty: give intensities in 0..1, or null for uniform.images of them")
        return list(settings.levels)
    if settings.images == 1:
        return [0.5]
    return [i / (settings.images - 1) for i in range(settings.images)]


@dataclass(frozen=True)
class UniformImages:
    """Uniform images of one size (H, W), read as photos are."""

    levels: list[float]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.levels)

    def read(self, i: int) -> np.ndarray:
        """(H, W, 3) float32, everywhere level * 255: the model's input range is 0..255, not 0..1."""
        return np.full((*self.size, 3), self.levels[i] * 255, dtype=np.float32)
