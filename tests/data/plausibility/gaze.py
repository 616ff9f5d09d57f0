"""Plausible gaze, drawn from a seed, and the same in wrong frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from entreg.data.plausibility.points import Points

# the sides differ by a fifth or more
SIZES = (
    [(1024, 768)],
    [(1920, 1080)],
    [(768, 1024)],
    [(600, 500)],
    [(512, 320)],
    [(1024, 768), (768, 1024), (1024, 680)],
)


def shares(rng: np.random.Generator, n: int, central: float = 0.5, uniform: float = 0.1) -> np.ndarray:
    """Draw n positions as shares of an image's sides, (n, 2), all inside.

    A share `central` is drawn around the middle, another `uniform`, the rest around three objects.
    """
    middle, spread, objects = rng.normal(0.5, 0.04, 2), rng.uniform(0.15, 0.28), rng.uniform(0.1, 0.9, (3, 2))
    drawn = np.zeros((0, 2))
    while len(drawn) < n:
        kind = rng.random((n, 1))
        near_objects = objects[rng.integers(0, 3, n)] + rng.normal(0, 0.06, (n, 2))
        near_middle = rng.normal(middle, spread, (n, 2))
        anywhere = rng.random((n, 2))
        points = np.where(kind < central, near_middle, np.where(kind < 1 - uniform, near_objects, anywhere))
        drawn = np.concatenate([drawn, points[((points >= 0) & (points < 1)).all(1)]])
    return drawn[:n]


def plausible(seed: int) -> Points:
    """12 to 60 images, 1 to 15 people, 4 to 10 fixations of each: as they come, in whole pixels, or spread evenly.

    Every fourth set is drawn with errors of measurement, which take up to a few percent out of the images.
    """
    rng = np.random.default_rng(seed)
    sizes = SIZES[rng.integers(len(SIZES))]
    images, each = int(rng.integers(12, 61)), int(rng.integers(1, 16) * rng.integers(4, 11))
    central, uniform = (0.0, 1.0) if seed % 5 == 0 else (rng.uniform(0.2, 0.7), rng.uniform(0.05, 0.2))
    error = rng.uniform(0.005, 0.025) if seed % 4 == 0 else 0.0
    width, height = (np.repeat([sizes[i % len(sizes)][k] for i in range(images)], each).astype(float) for k in (0, 1))
    share = np.concatenate([shares(rng, each, central, uniform) for _ in range(images)])
    x, y = (share + rng.normal(0, error, share.shape)).T * (width, height)
    if seed % 2:
        x, y = np.floor(x), np.floor(y)
    return Points(x, y, width, height, np.repeat(np.arange(images), each))


def moved(points: Points, x: np.ndarray, y: np.ndarray) -> Points:
    """The same images with other x and y."""
    return Points(x, y, points.width_px, points.height_px, points.image)


def in_wrong_frames(points: Points, seed: int) -> Iterator[tuple[str, Points]]:
    """The points as a table might hold them, with what is wrong."""
    rng = np.random.default_rng(seed)
    x, y, width, height = points.x, points.y, points.width_px, points.height_px
    screen_width, screen_height = np.array([width.max(), height.max()]) * (1 + 2 * rng.uniform(0.05, 0.25))
    smaller, larger = rng.uniform(0.2, 0.5), rng.uniform(2, 4)
    yield "shares", moved(points, x / width, y / height)
    yield "degrees", moved(points, (x - width / 2) / 30, (y - height / 2) / 30)
    yield "centred", moved(points, x - width / 2, y - height / 2)
    yield "screen", moved(points, x + (screen_width - width) / 2, y + (screen_height - height) / 2)
    narrow = moved(points, x + (1.1 * width.max() - width) / 2, y + (1.1 * height.max() - height) / 2)
    yield "screen with a border of 5 % on each side", narrow
    yield "stored larger", moved(points, x * smaller, y * smaller)
    yield "stored smaller", moved(points, x * larger, y * larger)
    yield "swapped", moved(points, y, x)
