"""Which images are used, and which of them validate. Pure functions of counts and settings."""

from __future__ import annotations

import logging
import math

import numpy as np

from entreg.config import Data
from entreg.errors import SettingError

log = logging.getLogger(__name__)


def chosen(n: int, settings: Data) -> np.ndarray:
    """Ascending indices of the images used of the n found: `sample` drawn by sample_seed, then the first `limit`.

    Where fewer than `sample` were found, as in a partial copy, all are used and a warning says so.
    """
    images = np.arange(n)
    if settings.sample is not None and settings.sample < n:
        images = np.sort(np.random.RandomState(settings.sample_seed).choice(n, settings.sample, replace=False))
    elif settings.sample is not None and settings.sample > n:
        log.warning("%s: sample=%d, but only %d images were found: all are used", settings.name, settings.sample, n)
    return images if settings.limit is None else images[: settings.limit]


def folds(n: int, folds: int, seed: int) -> list[np.ndarray]:
    """`folds` arrays of ascending indices that part 0..n-1: shuffled by the seed, cut into chunks of ceil(n / folds).

    The same cut as pysaliency's crossval_folds; the last chunks are smaller, with few images even empty.
    """
    order = np.arange(n)
    np.random.RandomState(seed).shuffle(order)
    chunk = math.ceil(n / folds)
    return [np.sort(order[k * chunk : (k + 1) * chunk]) for k in range(folds)]


def split(n: int, settings: Data) -> tuple[np.ndarray, np.ndarray]:
    """(training, validation): ascending indices among the n used images. Fold `fold` validates.

    SettingError: either part would be empty.
    """
    validation = folds(n, settings.folds, settings.split_seed)[settings.fold]
    training = np.setdiff1d(np.arange(n), validation)
    if not len(validation) or not len(training):
        part = "validation" if not len(validation) else "training"
        raise SettingError(
            f"{settings.name}: with {n} images, data.folds={settings.folds} and data.fold={settings.fold} the {part} "
            "part is empty: choose a smaller data.fold or data.folds, or more images (data.limit, data.sample)"
        )
    return training, validation
