"""The Gaussian centre prior: one formula for every data set, regardless of its fixations."""

from __future__ import annotations

import numpy as np


def gaussian_log_prior(
    height: int,
    width: int,
    stored_height: int,
    stored_width: int,
    variance: float,
    nu: float,
    seen: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Return the log density of the Gaussian centre prior, exp(-x^2/(2 s) - y^2/(2 nu s)) normalised: (H, W) nats.

    x ranges over -1..1 and y over -a..a at the pixel centres, where a = height/width of the *stored* image. The prior
    is stretched and cropped with the image. Source: Clarke & Tatler 2014.

    variance: s, the variance of x where half the width is 1
    nu: the variance of y over that of x
    seen: the shares of the stored height and width that a crop leaves
    """
    x = (2 * centres(width) - 1) * seen[1]
    y = (2 * centres(height) - 1) * seen[0] * stored_height / stored_width
    log_rows, log_columns = -(y**2) / (2 * nu * variance), -(x**2) / (2 * variance)
    log_sum = np.log(np.exp(log_rows).sum() * np.exp(log_columns).sum())
    log_density: np.ndarray = log_rows[:, None] + log_columns - log_sum
    return log_density


def centres(size: int) -> np.ndarray:
    """Return the pixel centres as shares of the side: (size,)."""
    return (np.arange(size) + 0.5) / size
