"""Ground-truth densities from fixations."""
from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def density_map(y: np.ndarray, x: np.ndarray, height: int, width: int, sigma_px: float) -> np.ndarray:
    """Gaussian-blurred counts of the fixations, (H, W) float64, divided by their sum over the pixels.

    y, x: (n,) integer pixels; two fixations on one pixel count twice. Weight that falls outside the image is lost before
    the division (no reflection); 4 sigma away from all fixations the density is 0.
    ValueError: no fixation, or one outside the image.
    """
    if not len(y):
        raise ValueError("a density map needs at least one fixation")
    pixels = np.ravel_multi_index((y, x), (height, width))
    counts = np.bincount(pixels, minlength=height * width).reshape(height, width).astype(np.float64)
    blurred = gaussian_filter(counts, sigma_px, mode="constant")
    return blurred / blurred.sum()
