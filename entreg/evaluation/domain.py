"""The images that models are evaluated on, with everything that does not depend on a model."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from entreg.config import Data, Prior
from entreg.priors.gold import GoldStandard, gold_standard
from entreg.priors.kde import FixationKde, kde_of
from entreg.study.split import ImageSubset
from entreg.units import Size

log = logging.getLogger(__name__)

ENOUGH_FOR_AN_INTERVAL = 30  # images; with fewer, the estimated variance behind an interval is itself uncertain
CHUNK = 4096  # fixations whose Gaussians are in memory at a time: 60 MB at 1024x768
ENOUGH_FOR_A_KDE = 200  # images; with fewer, the KDE prior is markedly weaker, so that IG over it looks better


@dataclass(frozen=True)
class Truth:
    """What a prediction for one image is compared with.

    y, x: (n,) pixels of the fixations; blurred: (H, W) density of the fixations
    log_gaussian, log_kde: (n,) nats, the priors at the fixations
    log_references: by name, (n,) nats at the fixations: the density predicted from other observers (`gold`) and the
        true density (`oracle`)
    other_y, other_x: pixels of all fixations on the data set's other images, the nonfixations of shuffled AUC
    """

    name: str
    category: str | None
    size: tuple[int, int]
    y: np.ndarray
    x: np.ndarray
    blurred: np.ndarray
    log_gaussian: np.ndarray
    log_kde: np.ndarray
    log_references: dict[str, np.ndarray]
    other_y: np.ndarray
    other_x: np.ndarray


@dataclass(frozen=True)
class Domain:
    """Images of one data set that models are evaluated on.

    settings: those of the data set; prior: those of the priors
    """

    subset: ImageSubset
    settings: Data
    prior: Prior

    def truth(self, i: int) -> Truth:
        """Return what predictions for image i are compared with."""
        stimulus, size = self.subset.stimuli[i], self.subset.sizes[i]
        y, x = (axis.numpy() for axis in self.subset.fixations[i])
        other_y, other_x = self._elsewhere(self.subset.items[i], size)
        references = {name: values[i] for name, values in self._references.items()}
        return Truth(
            stimulus.name,
            stimulus.category,
            size,
            y,
            x,
            blurred_density(y, x, *size, self.settings.sigma_px),
            self.log_gaussian[i],
            self.log_kde[i],
            references,
            other_y,
            other_x,
        )

    def own_center_biases(self, step: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of every image with the KDE of the data set's other images, nats; size by size.

        step: the map holds every step-th pixel, as the model reads it
        """
        for size in sorted(set(self.subset.sizes)):
            numbers = [i for i, other in enumerate(self.subset.sizes) if other == size]
            maps = self.kde.leave_one_out([self.subset.items[i] for i in numbers], *size, step=step)
            yield from zip(numbers, maps, strict=True)

    @cached_property
    def log_gaussian(self) -> list[np.ndarray]:
        """The Gaussian centre prior at each image's fixations: (n_i,) nats."""
        return self.subset.gaussian_log_priors(self.prior)

    @cached_property
    def kde(self) -> FixationKde:
        """The KDE of the fixations on all images of the data set, not only on those evaluated."""
        return kde_of(self.subset.resized, range(len(self.subset.resized)), self.prior)

    def kde_map(self, size: Size) -> np.ndarray:
        """Return the log density of `kde` in an image of this size: (H, W) nats. It is computed once."""
        if size not in self._kde_maps:
            self._kde_maps[size] = self.kde.log_density(*size)
        return self._kde_maps[size]

    @cached_property
    def kde_images(self) -> int:
        """The number of images behind the KDE prior, from which each evaluated image is left out in turn."""
        count = int((self.subset.resized.counts > 0).sum())
        if count < ENOUGH_FOR_A_KDE:
            log.warning(
                "%s: the KDE prior is built from only %d images (fewer than %d), so IG over it cannot be compared with "
                "the literature's",
                self.settings.name,
                count,
                ENOUGH_FOR_A_KDE,
            )
        return count

    @cached_property
    def log_kde(self) -> list[np.ndarray]:
        """The KDE prior at each image's fixations, built without these fixations: (n_i,) nats."""
        y, x = self.subset.pooled.pixels
        image = self.subset.pooled.image
        values = np.zeros(len(y))
        sizes = np.array(self.subset.sizes)
        for size in sorted(set(self.subset.sizes)):
            is_of_size = (sizes == size).all(1)
            rows = slice(None) if is_of_size.all() else is_of_size[image]  # millions of fixations are not copied
            items = np.array(self.subset.items)[image[rows]]
            values[rows] = self.kde.log_density_at(y[rows], x[rows], items, *size)
        return self.subset.cut(values)

    @cached_property
    def gold(self) -> GoldStandard | None:
        """The gold standard, which predicts observers from others; None where the set does not tell observers apart."""
        pooled = self.subset.pooled
        if pooled.subject is None:
            return None
        y, x = pooled.pixels
        sizes = np.array(self.subset.sizes)
        return gold_standard(y, x, pooled.image, pooled.subject, sizes, np.concatenate(self.log_kde))

    def _elsewhere(self, item: int, size: Size) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels (y, x) in an image of this size of the fixations on all other images of the data set."""
        resized, known = self.subset.resized, self._rescaled
        if size not in known:  # one size is kept, since there may be millions of fixations
            known.clear()
            axes = zip((resized.fixations.y, resized.fixations.x), resized.sides(resized.fixations), size, strict=True)
            y, x = (rescaled_pixels(*axis).astype(np.int32) for axis in axes)
            known[size] = y, x
        y, x = (np.delete(axis, resized.rows(item)) for axis in known[size])
        return y, x

    @cached_property
    def _rescaled(self) -> dict[Size, tuple[np.ndarray, np.ndarray]]:
        return {}

    @cached_property
    def _kde_maps(self) -> dict[Size, np.ndarray]:
        return {}

    @cached_property
    def _references(self) -> dict[str, list[np.ndarray]]:
        """By name, the log densities that are known without a model, at each image's fixations: (n_i,) nats."""
        references = {}
        if self.gold is not None:
            references["gold"] = self.subset.cut(self.gold.log_density)
        true = [self.settings.true_log_density(item) for item in self.subset.items]
        known = [log_density for log_density in true if log_density is not None]
        if len(known) == len(self.subset):
            pairs = zip(known, self.subset.fixations, strict=True)
            references["oracle"] = [log_density[y.numpy(), x.numpy()] for log_density, (y, x) in pairs]
        return references


def rescaled_pixels(position: np.ndarray, size: np.ndarray | int, new_size: int) -> np.ndarray:
    """Return the pixels (n,) in an image of `new_size` rows (or columns) of fixations in images with `size` of them.

    The position itself is scaled, then floored, as pysaliency does with other images' fixations in shuffled AUC.
    """
    scaled = np.floor(np.asarray(position, dtype=np.float64) * (new_size / np.asarray(size)))
    return np.minimum(scaled, new_size - 1).astype(np.int64)  # rounding may lift the last sliver over the edge


def blurred_density(y: np.ndarray, x: np.ndarray, height: int, width: int, sigma_px: float) -> np.ndarray:
    """Return the ground truth of CC and SIM: a Gaussian on each fixated pixel, divided by the sum over pixels; (H, W).

    Two fixations on one pixel count twice. No Gaussian is truncated; weight that falls outside the image is lost before
    the division (it is not reflected). Raises a ValueError where there is no fixation, or one outside the image.

    y, x: (n,) integer pixels
    """
    if not len(y):
        raise ValueError("a density map needs at least one fixation")
    np.ravel_multi_index((y, x), (height, width))  # ValueError where one is outside
    # a Gaussian is a product of one in y and one in x, so their sum over the fixations is one matrix product
    density = np.zeros((height, width))
    for start in range(0, len(y), CHUNK):
        rows, columns = (
            np.exp(-0.5 * ((np.arange(size) - np.asarray(at)[start : start + CHUNK, None]) / sigma_px) ** 2)
            for at, size in ((y, height), (x, width))
        )
        density += rows.T @ columns
    return np.asarray(density / density.sum())
