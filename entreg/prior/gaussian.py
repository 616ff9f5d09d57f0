"""The Gaussian centre prior: one rule for every data set, whatever its people looked at."""

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
    """Gaussian centre prior of Clarke & Tatler 2014, proportional to exp(-x^2/(2 s) - y^2/(2 nu s)): (H, W), nats.

    x runs over -1..1 and y over -a..a, a = height/width of the *stored* image, at pixel centres: a stretched image's
    prior is stretched with it, a cropped one's is cropped. variance s: of x, the half-width being 1; nu: variance of y
    over that of x; seen: shares of the stored height and width that a crop leaves
    """
    x = (2 * centres(width) - 1) * seen[1]
    y = (2 * centres(height) - 1) * seen[0] * stored_height / stored_width
    log_rows, log_columns = -(y**2) / (2 * nu * variance), -(x**2) / (2 * variance)
    log_sum = np.log(np.exp(log_rows).sum() * np.exp(log_columns).sum())
    return log_rows[:, None] + log_columns - log_sum


def centres(size: int) -> np.ndarray:
    """(size,): pixel centres as shares of the side."""
    return (np.arange(size) + 0.5) / size
