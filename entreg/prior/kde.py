"""Where people look whatever they are shown, as a kernel density estimate of fixations on many images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

import numpy as np

from entreg.config import Prior
from entreg.data.geometry import Resized
from entreg.prior.gaussian import centres

CHUNK = 4096  # fixations whose kernels are held at once: 60 MB at 1024x768


class FixationKde:
    """Kernel density estimate of the fixations of many images, in relative coordinates, for images of any size.

    p = (1 - regularisation) * kde + regularisation / (H*W) at each pixel centre. kde is a sum of Gaussians, one for
    each fixation, divided by its sum over all H*W pixels, so that p sums to 1 over them (as pysaliency's baseline does
    by subtracting the logsumexp). Without any fixation p is uniform. Source: Kuemmerer, Bethge & Wallis 2022.

    y, x: (n,) fixations as shares of their image's height and width, 0..1
    image: (n,) number of the image that each was made on
    bandwidth: standard deviation of the Gaussians, share of each side
    regularisation: weight of the uniform density

    Leaving an image out means to sum all other kernels, never to subtract its own from the total: far from the centre
    a density is a billionth of what it is there, and a difference would be rounding noise. A Gaussian is a product of
    one in y and one in x, so the sum over an image's fixations is one matrix product. Sums are float64, maps float32.
    """

    def __init__(
        self, y: np.ndarray, x: np.ndarray, image: np.ndarray, bandwidth: float, regularisation: float
    ) -> None:
        image = np.asarray(image)
        order = np.argsort(image, kind="stable")
        numbers, starts = np.unique(image[order], return_index=True)
        yx = np.stack([y, x]).astype(np.float64)[:, order]
        # without any fixation there is no number, but one empty part
        self._fixations = dict(zip(numbers.tolist(), np.split(yx, starts[1:], axis=1), strict=False))
        self.bandwidth = bandwidth
        self.regularisation = regularisation

    @property
    def fixations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """y, x and image (n,), as they were given but sorted by image."""
        numbers = [np.full(own.shape[1], number) for number, own in self._fixations.items()]
        y, x = np.concatenate(list(self._fixations.values()), axis=1) if numbers else np.zeros((2, 0))
        return y, x, np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)

    def log_density(self, height: int, width: int, step: int = 1, leave_out: int | None = None) -> np.ndarray:
        """(H//step, W//step) in nats: the log density of pixels 0, step, 2*step, ... of each side of an H*W image.

        A nearest-neighbour resize by 1/step takes just these pixels of the full map. leave_out: without the fixations
        of this image; None: of all.
        """
        images = [image for image in self._fixations if image != leave_out]
        return self._log(self._sum(images, height, width, step), height, width, step)

    def leave_one_out(self, images: Iterable[int], height: int, width: int, step: int = 1) -> Iterator[np.ndarray]:
        """`log_density(height, width, step, leave_out=image)` for each of the (distinct) images, one by one.

        Images are summed in sqrt(n) groups, and each is the sum of the other groups and of the others in its group:
        2 kernel sums an image in place of n, with about 6 sqrt(n) maps in memory.
        """
        images = list(images)
        rest = self._sum([image for image in self._fixations if image not in set(images)], height, width, step)
        length = max(1, math.isqrt(len(images)))
        groups = [images[k : k + length] for k in range(0, len(images), length)]
        totals = [self._sum(group, height, width, step) for group in groups]
        for group, other_groups in zip(groups, _all_but_one(totals), strict=True):
            own = [self._sum([image], height, width, step) for image in group]
            for others in _all_but_one(own):
                yield self._log(rest + other_groups + others, height, width, step)

    def without_folds(
        self,
        images: Sequence[int],
        folds: Sequence[Sequence[int]],
        height: int,
        width: int,
        step: int,
        at: Callable[[int], np.ndarray],
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """For each of the images: its number, its leave-one-out map, and what is left of it without each fold as well.

        images: some of those in `folds`, which part all images that something is fitted to and judged on
        at: for an image the flat indices of the map's pixels that are wanted, (k,)
        Yields (image, (m_y, m_x) nats, (n_folds, k) nats): the second without the image's own fixations, the third
        without the fold's as well; NaN for the image's own fold.
        """
        shape = height, width, step
        rest = self._sum([i for i in self._fixations if i not in {j for fold in folds for j in fold}], *shape)
        totals = [self._sum(fold, *shape) for fold in folds]
        wanted = set(images)
        for own_fold, fold in enumerate(folds):
            if wanted.isdisjoint(fold):
                continue
            elsewhere = [
                rest + sum(t for k, t in enumerate(totals) if k not in (own_fold, left)) for left in range(len(folds))
            ]
            own = [self._sum([image], *shape) for image in fold]
            for image, others in zip(fold, _all_but_one(own), strict=True):
                if image not in wanted:
                    continue
                pixels = at(image)
                left_out = np.stack(
                    [
                        self._mixed((total + others)[pixels], total[-1] + others[-1], height * width)
                        for total in elsewhere
                    ]
                )
                left_out[own_fold] = np.nan
                # without its own fold there is nothing that `elsewhere` would have to leave out
                yield image, self._log(elsewhere[own_fold] + others, *shape), left_out

    def log_density_at(self, y: np.ndarray, x: np.ndarray, image: np.ndarray, height: int, width: int) -> np.ndarray:
        """Log density (n,), float64 nats, at pixels (y, x) of H*W images, each without its own image's fixations.

        y, x: (n,) integers; image: (n,) number of the image that each pixel belongs to.
        The work is one full map an image of the KDE, whatever n is: ask for all pixels of a size at once.
        """
        image = np.asarray(image)
        pixel = np.asarray(y) * width + np.asarray(x)
        sums, mass = np.zeros(len(pixel)), np.zeros(len(pixel))
        for other in self._fixations:
            kernels = self._sum([other], height, width, 1)
            sums += np.where(image == other, 0.0, kernels[pixel])
            mass += np.where(image == other, 0.0, kernels[-1])
        return self._mixed(sums, mass, height * width)

    def _sum(self, images: Iterable[int], height: int, width: int, step: int) -> np.ndarray:
        """Sum of the images' kernels at every step-th pixel, flat, and, as last entry, over all H*W pixels."""
        rows, columns = height // step, width // step
        total = np.zeros(rows * columns + 1)
        for image in images:
            yx = self._fixations.get(image, np.zeros((2, 0)))
            for start in range(0, yx.shape[1], CHUNK):
                in_y, in_x = (
                    self._kernels(position, size)
                    for position, size in zip(yx[:, start : start + CHUNK], (height, width), strict=True)
                )
                total[:-1] += (in_y[:, ::step][:, :rows].T @ in_x[:, ::step][:, :columns]).ravel()
                total[-1] += in_y.sum(1) @ in_x.sum(1)
        return total

    def _kernels(self, position: np.ndarray, size: int) -> np.ndarray:
        """(n, size): the Gaussian around each position at the pixel centres. Its scale falls out in the division."""
        return np.exp(-0.5 * ((centres(size) - position[:, None]) / self.bandwidth) ** 2)

    def _log(self, total: np.ndarray, height: int, width: int, step: int) -> np.ndarray:
        log_density = self._mixed(total[:-1], total[-1], height * width)
        return log_density.reshape(height // step, width // step).astype(np.float32)

    def _mixed(self, sums: np.ndarray, mass: np.ndarray, pixels: int) -> np.ndarray:
        empty = np.asarray(mass) == 0
        kde = np.where(empty, 1 / pixels, sums / np.where(empty, 1.0, mass))
        with np.errstate(divide="ignore"):  # unregularised, a far pixel's density is 0 and its logarithm -inf
            return np.log((1 - self.regularisation) * kde + self.regularisation / pixels)


def kde_of(resized: Resized, items: Sequence[int], settings: Prior) -> FixationKde:
    """KDE of the fixations on some images of a data set, in relative coordinates."""
    fixations = resized.pooled(items)
    heights, widths = resized.sides(fixations)
    return FixationKde(
        fixations.y / heights,
        fixations.x / widths,
        fixations.image,
        settings.kde_bandwidth,
        settings.kde_regularisation,
    )


def _all_but_one(terms: list[np.ndarray]) -> Iterator[np.ndarray]:
    """For each term the sum of all others, from the sums before and after it."""
    before = accumulate(terms, initial=np.zeros(1))
    after = list(accumulate(terms[:0:-1], initial=np.zeros(1)))[::-1]
    return (b + a for _, b, a in zip(terms, before, after, strict=False))
