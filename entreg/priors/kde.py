"""The KDE prior: a kernel density estimate of where people look, from the fixations on many images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

import numpy as np

from entreg.config import Prior
from entreg.data.geometry import Resized
from entreg.priors.gaussian import centres
from entreg.priors.parts import parts

CHUNK = 4096  # fixations whose kernels are in memory at a time: 60 MB at 1024x768


class FixationKde:
    """A kernel density estimate of the fixations on many images, in relative coordinates, for images of any size.

    p = (1 - regularisation) * kde + regularisation / (H*W) at each pixel centre. kde is a sum of Gaussians, one for
    each fixation, divided by its sum over all H*W pixels, so that p sums to 1 over them. Without fixations p is
    uniform. Source: Kuemmerer, Bethge & Wallis 2022.

    It is close to the BaselineModel of pysaliency 0.2.22, but not equal to it: that model bins the fixations to pixels
    first and mirrors what a kernel loses over the border. On OSIE the mean log likelihood differs by about 0.001
    bit/fixation, and at the borders the density here is lower by 0.95 bit.

    y, x: (n,) the fixations as shares of their image's height and width, 0..1
    image: (n,) the number of the image that each fixation was made on
    bandwidth: the standard deviation of the Gaussians as a share of each side
    regularisation: the weight of the uniform density

    To leave an image out, all other kernels are summed; its own are never subtracted from the total, because far from
    the centre a density is a billionth of its value there, and the difference would be rounding noise. A Gaussian is
    the product of one in y and one in x, so the sum over an image's fixations is one matrix product. Sums are float64,
    maps float32.
    """

    def __init__(
        self, y: np.ndarray, x: np.ndarray, image: np.ndarray, bandwidth: float, regularisation: float
    ) -> None:
        image = np.asarray(image)
        yx = np.stack([y, x]).astype(np.float64, copy=False)
        if not (image[:-1] <= image[1:]).all():  # millions of fixations are not copied where they are sorted
            order = np.argsort(image, kind="stable")
            image, yx = image[order], yx[:, order]
        starts = np.flatnonzero(np.diff(image, prepend=image[:1] - 1))
        numbers = image[starts]
        # without fixations there is no number, but one empty array
        self._fixations = dict(zip(numbers.tolist(), np.split(yx, starts[1:], axis=1), strict=False))
        self.bandwidth = bandwidth
        self.regularisation = regularisation

    @property
    def fixations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The fixations' y, x and image, (n,) each, sorted by image."""
        numbers = [np.full(yx.shape[1], number) for number, yx in self._fixations.items()]
        y, x = np.concatenate(list(self._fixations.values()), axis=1) if numbers else np.zeros((2, 0))
        return y, x, np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)

    def log_density(self, height: int, width: int, step: int = 1, leave_out: int | None = None) -> np.ndarray:
        """Return the log density of pixels 0, step, 2*step, ... of each side of an H*W image: (H//step, W//step) nats.

        A nearest-neighbour resize by 1/step takes exactly these pixels of the full map.

        leave_out: the image whose fixations are left out; None: none are
        """
        images = [image for image in self._fixations if image != leave_out]
        return self._log(self._sum(images, height, width, step), height, width, step)

    def leave_one_out(self, images: Iterable[int], height: int, width: int, step: int = 1) -> Iterator[np.ndarray]:
        """Yield `log_density(height, width, step, leave_out=image)` for each of the (distinct) images, one by one.

        Images are divided into sqrt(n) groups. Each map is the sum of the other groups and of the other images in the
        group. This takes 2 kernel sums per image instead of n, with about 6 sqrt(n) maps in memory.
        """
        images = list(images)
        rest = self._sum([image for image in self._fixations if image not in set(images)], height, width, step)
        length = max(1, math.isqrt(len(images)))
        groups = [images[k : k + length] for k in range(0, len(images), length)]
        totals = [self._sum(group, height, width, step) for group in groups]
        for group, other_groups in zip(groups, _all_but_one(totals), strict=True):
            sums = [self._sum([image], height, width, step) for image in group]
            for others in _all_but_one(sums):
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
        """Yield, for each image, its number, its leave-one-out map, and that map without each fold as well.

        images: some of those in `folds`
        folds: the folds of all images that are fitted to and evaluated on
        at: returns, for an image, the flat indices (k,) of the map's pixels to yield

        Yields (image, (m_y, m_x) nats, (n_folds, k) nats). The map is without the image's own fixations, and the last
        array also without those of each fold, with NaN for the image's own fold.
        """
        shape = height, width, step
        rest = self._sum([i for i in self._fixations if i not in {j for fold in folds for j in fold}], *shape)
        totals = [self._sum(fold, *shape) for fold in folds]
        wanted = set(images)
        for own_fold, fold in enumerate(folds):
            if wanted.isdisjoint(fold):
                continue
            elsewhere = [
                rest + sum(total for k, total in enumerate(totals) if k not in (own_fold, left))
                for left in range(len(folds))
            ]
            sums = [self._sum([image], *shape) for image in fold]
            for image, others in zip(fold, _all_but_one(sums), strict=True):
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
                # `elsewhere` of the own fold leaves out no other fold
                yield image, self._log(elsewhere[own_fold] + others, *shape), left_out

    def log_density_at(self, y: np.ndarray, x: np.ndarray, image: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return the log density at pixels of H*W images, each without that image's fixations: (n,) float64 nats.

        y, x: (n,) integers
        image: (n,) the number of the image that each pixel belongs to

        The work is one full map per image of the KDE, whatever n is, so pass all pixels of one size in one call.
        """
        image, pixel = np.asarray(image), np.asarray(y) * width + np.asarray(x)
        numbers, sums = np.unique(image), np.zeros(len(pixel))
        mass = np.zeros(len(numbers))
        for other in self._fixations:
            kernels = self._sum([other], height, width, 1)
            for part in parts(len(pixel)):
                sums[part] += np.where(image[part] == other, 0.0, kernels[pixel[part]])
            mass += np.where(numbers == other, 0.0, kernels[-1])
        for part in parts(len(pixel)):
            of_image = mass[np.searchsorted(numbers, image[part])]
            sums[part] = self._mixed(sums[part], of_image, height * width)
        return sums

    def _sum(self, images: Iterable[int], height: int, width: int, step: int) -> np.ndarray:
        """Return the sum of the images' kernels at every step-th pixel, flat, and as last entry over all pixels."""
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
        """Return the unnormalised Gaussian around each position at the pixel centres: (n, size)."""
        kernels: np.ndarray = centres(size) - position[:, None]
        kernels /= self.bandwidth  # and on in one array, since each takes 30 MB
        np.square(kernels, out=kernels)
        kernels *= -0.5
        np.exp(kernels, out=kernels)
        return kernels

    def _log(self, total: np.ndarray, height: int, width: int, step: int) -> np.ndarray:
        log_density = self._mixed(total[:-1], total[-1], height * width)
        return log_density.reshape(height // step, width // step).astype(np.float32)

    def _mixed(self, sums: np.ndarray, mass: np.ndarray, pixels: int) -> np.ndarray:
        empty = np.asarray(mass) == 0
        kde = np.where(empty, 1 / pixels, sums / np.where(empty, 1.0, mass))
        with np.errstate(divide="ignore"):  # unregularised, a far pixel's density may be 0 and its logarithm -inf
            log_density: np.ndarray = np.log((1 - self.regularisation) * kde + self.regularisation / pixels)
        return log_density


def kde_of(resized: Resized, items: Sequence[int], settings: Prior) -> FixationKde:
    """Return the KDE of the fixations on some images of a data set, in relative coordinates."""
    fixations = resized.pooled(items)
    heights, widths = resized.sides(fixations)
    return FixationKde(
        fixations.y / heights,
        fixations.x / widths,
        fixations.image,
        settings.kde_bandwidth,
        settings.kde_regularisation,
    )


def pooled(kdes: Sequence[FixationKde]) -> FixationKde:
    """Return the KDE of the fixations of several, which have one bandwidth and regularisation. One remains as it is."""
    if len(kdes) == 1:
        return kdes[0]
    each, first = [kde.fixations for kde in kdes], 0
    images = []
    for _, _, image in each:
        images.append(image + first)
        first += image.max(initial=-1) + 1
    y, x = (np.concatenate([fixations[axis] for fixations in each]) for axis in (0, 1))
    return FixationKde(y, x, np.concatenate(images), kdes[0].bandwidth, kdes[0].regularisation)


def _all_but_one(terms: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Return, for each term, the sum of all others, from the sums before and after it."""
    before = accumulate(terms, initial=np.zeros(1))
    after = list(accumulate(terms[:0:-1], initial=np.zeros(1)))[::-1]
    return (b + a for _, b, a in zip(terms, before, after, strict=False))
