"""Ground-truth densities from fixations."""
from __future__ import annotations

import numpy as np


def density_map(y: np.ndarray, x: np.ndarray, height: int, width: int, sigma_px: float) -> np.ndarray:
    """A Gaussian on each fixated pixel, (H, W) float64, divided by the sum over the pixels.

    y, x: (n,) integer pixels; two fixations on one pixel count twice. Nothing is truncated; weight that falls outside
    the image is lost before the division (no reflection).
    ValueError: no fixation, or one outside the image.
    """
    if not len(y):
        raise ValueError("a density map needs at least one fixation")
    np.ravel_multi_index((y, x), (height, width))  # ValueError where one is outside
    # a Gaussian is a product of one in y and one in x, so their sum over the fixations is one matrix product
    rows, columns = (
        np.exp(-0.5 * ((np.arange(size) - np.asarray(at)[:, None]) / sigma_px) ** 2)
        for at, size in ((y, height), (x, width))
    )
    density = rows.T @ columns
    return density / density.sum()
