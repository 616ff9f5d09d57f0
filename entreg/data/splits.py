"""The choice of the images that are used, and their split into training and validation images."""

from __future__ import annotations

import logging
import math

import numpy as np

from entreg.config import Data
from entreg.errors import SettingError

log = logging.getLogger(__name__)


def chosen(n: int, settings: Data) -> np.ndarray:
    """Return the ascending indices of the images that are used, of n.

    `sample` images are drawn with sample_seed, and the first `limit` of these are used. Where there are fewer than
    `sample`, as in an incomplete copy, all are used, and a warning is logged.
    """
    images = np.arange(n)
    if settings.sample is not None and settings.sample < n:
        images = np.sort(np.random.RandomState(settings.sample_seed).choice(n, settings.sample, replace=False))
    elif settings.sample is not None and settings.sample > n:
        log.warning("%s: sample=%d, but there are only %d images; all are used", settings.name, settings.sample, n)
    return images if settings.limit is None else images[: settings.limit]


def folds(n: int, folds: int, seed: int) -> list[np.ndarray]:
    """Return `folds` arrays of ascending indices that together are 0..n-1.

    The indices are shuffled with the seed and cut into chunks of ceil(n / folds), as by pysaliency's crossval_folds.
    The last chunks may be smaller or empty.
    """
    order = np.arange(n)
    np.random.RandomState(seed).shuffle(order)
    chunk = math.ceil(n / folds)
    return [np.sort(order[k * chunk : (k + 1) * chunk]) for k in range(folds)]


def split(n: int, settings: Data) -> tuple[np.ndarray, np.ndarray]:
    """Return the training and the validation split: ascending indices among the n used images.

    Fold `fold` is the validation split. Raises a SettingError where either split is empty.
    """
    validation = folds(n, settings.folds, settings.split_seed)[settings.fold]
    training = np.setdiff1d(np.arange(n), validation)
    if not len(validation) or not len(training):
        empty = "validation" if not len(validation) else "training"
        raise SettingError(
            f"{settings.name}: with {n} images, data.folds={settings.folds} and data.fold={settings.fold} the {empty} "
            "split is empty: choose a smaller data.fold or data.folds, or more images (data.limit, data.sample)"
        )
    return training, validation
