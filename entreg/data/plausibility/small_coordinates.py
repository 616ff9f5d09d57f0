"""Whether x and y reach across the images, or count in shares, in degrees, or in pixels of smaller images."""

from __future__ import annotations

import numpy as np

from entreg.data.plausibility.chance import fewer_than, more_than
from entreg.data.plausibility.finding import CENTRE, Finding
from entreg.data.plausibility.points import Points

# How much denser than a uniform distribution fixations may be at one pixel: a Gaussian centre bias with a standard
# deviation of a fifth of each side is 1 / (2 pi 0.2^2) = 4 times as dense in its middle, and objects gather more.
DENSEST = 16
# Share of points further right than the image's middle, or further down. Where people look at the centre it is about
# 3/4, and 0 where points only reach the upper left quarter.
FEWEST_BEYOND_THE_QUARTER = 0.2
LARGEST_DEGREES = 60  # images span fewer degrees of visual angle from their centre


def small_numbers(points: Points) -> Finding | None:
    """Return what x and y seem to count in where they reach only a part of their images; None: they reach further."""
    return _shares(points) or _quarter(points)


def _shares(points: Points) -> Finding | None:
    """Return whether x and y are 0..1 (-1..1) more often than fixations lie on the first pixels of the images."""
    n, within = len(points), int(((np.abs(points.x) <= 1) & (np.abs(points.y) <= 1)).sum())
    expected = float(np.minimum(1, 4 * DENSEST / (points.width_px * points.height_px)).mean())
    if within <= n / 2 or not more_than(expected, within, n):
        return None
    return Finding(
        "shares",
        within,
        n,
        f"{within} of {n} fixations have x and y within 1 of 0: they seem to be shares of the image",
        "data.frame.unit=shares",
        "multiply x by the image's width and y by its height",
    )


def _quarter(points: Points) -> Finding | None:
    n, (u, v) = len(points), points.shares
    within = int(((np.abs(u) <= 0.5) & (np.abs(v) <= 0.5)).sum())
    if not fewer_than(FEWEST_BEYOND_THE_QUARTER, n - within, n):
        return None
    reach_x, reach_y = (float(np.quantile(np.abs(axis), 0.98)) for axis in (points.x, points.y))
    reach = (
        f"most x and y reach only {reach_x:.3g} and {reach_y:.3g}, in images of "
        f"{points.width_px.mean():.0f} x {points.height_px.mean():.0f} pixels"
    )
    has_negatives = fewer_than(0.75, int(((points.x >= 0) & (points.y >= 0)).sum()), n)
    if max(reach_x, reach_y) <= LARGEST_DEGREES:
        return Finding(
            "scaled",
            within,
            n,
            f"{reach}: they seem to be degrees of visual angle{' from the centre' if has_negatives else ''}",
            "data.frame.unit=degrees" + (f" {CENTRE}" if has_negatives else ""),
            "convert x and y into pixels of the stored image, with the origin in its top left corner",
        )
    if has_negatives:  # their origin is in the centre, which the points outside show
        return None
    return Finding(
        "scaled",
        within,
        n,
        f"{within} of {n} fixations lie in the upper left quarter of their images: {reach}; the images seem to be "
        "stored larger than they were shown",
        "data.frame.shown_width_px=... data.frame.shown_height_px=...",
        "multiply x and y by how much larger the images are stored than they were shown",
    )
