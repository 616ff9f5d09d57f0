"""What a predicted density is worth on one image's fixations. Log densities come in nats; what is named bits is bits.

A map that is constant on cells needs no pixels: `values` are its cells' log densities and `pixels` says how many
pixels each cell stands for (any one shape, such as (h, w); 1 for a full map). `at` (n,) is the log density at the n
fixations, taken from the same map; a fixation's pixel is floor(y), floor(x), and one fixated twice counts twice.

The conventions are pysaliency's; tests/golden/metrics.npz holds its numbers. Review: Kuemmerer, Wallis & Bethge 2018,
*Saliency benchmarking made easy*, ECCV. Everything is computed in float64.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from entreg.numerics import BITS_PER_NAT


@dataclass(frozen=True)
class Metric:
    """A number that every judged image has, or may have.

    key: its column in per_image.csv; better: which way is better, None for what is shown for reference
    compared: whether arms are compared by it; meaning: for a reader who does not know it
    """

    key: str
    title: str
    unit: str
    better: str | None
    compared: bool
    meaning: str

    @property
    def difference_key(self) -> str:
        """Its key in a comparison of two arms."""
        stem, bits, _ = self.key.partition("_bits_per_fixation")
        return f"{stem}_difference_bits" if bits else f"{self.key}_difference"


PRIMARY = "ig_bits_per_fixation"
METRICS = tuple(Metric(*row) for row in (
    (PRIMARY, "IG over the Gaussian prior", "bit/fixation", "higher", True,
     "Information gain: how many bits better than a fixed central Gaussian the model predicts where a fixation lands; "
     "+1 bit doubles the predicted density there."),
    ("ig_kde_bits_per_fixation", "IG over the KDE prior", "bit/fixation", "higher", True,
     "The same over a smoothed density of the data set's fixations on its other images."),
    ("ll_bits_per_fixation", "log likelihood over uniform", "bit/fixation", "higher", True,
     "The same over the uniform density."),
    ("nss", "NSS", "standard deviations", "higher", True,
     "Normalised scanpath saliency: the standardised density at the fixations."),
    ("auc", "AUC", "0 to 1", "higher", True,
     "The chance that a fixated pixel has a higher value than another pixel of the image; 0.5 is chance."),
    ("sauc", "shuffled AUC", "0 to 1", "higher", True,
     "The chance that a fixated pixel has a higher value than a pixel fixated in another image; 0.5 is chance."),
    ("cc", "CC", "−1 to 1", "higher", True, "Correlation with the blurred fixation density."),
    ("sim", "SIM", "0 to 1", "higher", True, "Overlap with the blurred fixation density."),
    ("kl_bits", "KL(fixations || model)", "bits", "lower", True,
     "Bits by which the density falls short of the empirical fixation distribution; the prior's minus the model's is "
     "the IG."),
    ("kl_gaussian_prior_bits", "KL(fixations || Gaussian prior)", "bits", None, False, "The prior's."),
    ("kl_kde_prior_bits", "KL(fixations || KDE prior)", "bits", None, False, "The prior's."),
    ("gold_ig_bits_per_fixation", "gold standard's IG", "bit/fixation", None, False,
     "What other people's fixations on the same image predict, over the Gaussian prior."),
    ("gold_ig_kde_bits_per_fixation", "gold standard's IG over the KDE prior", "bit/fixation", None, False,
     "What other people's fixations on the same image predict, over the KDE prior."),
    ("oracle_ig_bits_per_fixation", "oracle's IG", "bit/fixation", None, False,
     "What the true density of synthetic images predicts, over the Gaussian prior."),
    ("oracle_ig_kde_bits_per_fixation", "oracle's IG over the KDE prior", "bit/fixation", None, False,
     "What the true density of synthetic images predicts, over the KDE prior."),
    ("ig_own_center_bias_bits_per_fixation", "IG with the set's own centre bias", "bit/fixation", "higher", True,
     "IG over the Gaussian prior of a model that receives the judged set's centre bias as input."),
    ("ig_uniform_center_bias_bits_per_fixation", "IG with a uniform centre bias", "bit/fixation", "higher", True,
     "IG over the Gaussian prior of a model that receives a uniform centre bias as input."),
))


def ig_bits(at: np.ndarray, prior_at: np.ndarray) -> np.ndarray:
    """Information gain log2 p_model(x_i) - log2 p_prior(x_i) of each fixation: (n,), bits.

    Its mean is KL(h||prior) - KL(h||model), h being the fixations' empirical distribution: the better model has the
    greater IG (Kuemmerer, Wallis & Bethge 2015, PNAS).
    """
    return (_float(at) - _float(prior_at)) * BITS_PER_NAT


def ll_bits(at: np.ndarray, height: int, width: int) -> np.ndarray:
    """Log likelihood over the uniform density, log2 p_model(x_i) + log2(H*W), of each fixation: (n,), bits."""
    return ig_bits(at, np.full(len(at), -math.log(height * width)))


def kl_bits(at: np.ndarray, y: np.ndarray, x: np.ndarray) -> float:
    """KL(h||p) = sum over fixated pixels of h log2(h / p), h = (fixations on the pixel) / n; bits, at least 0.

    y, x: (n,) pixels of the fixations, n at least 1. The model's or the prior's log density at them is `at`.
    """
    _, first, count = np.unique(np.stack([y, x]), axis=1, return_index=True, return_counts=True)
    share = count / len(at)
    return float((share * (np.log(share) - _float(at)[first])).sum() * BITS_PER_NAT)


def nss(at: np.ndarray, values: np.ndarray, pixels: np.ndarray | int = 1) -> np.ndarray:
    """Normalised scanpath saliency (p(x_i) - mean) / std of each fixation: (n,); of the density, not of its logarithm.

    mean and std (ddof 0) are taken over the image's pixels. A constant map has no std: its NSS is 0, as pysaliency's.
    Source: Peters, Iyer, Itti & Koch 2005.
    """
    values = _float(values)
    if np.ptp(values) == 0:
        return np.zeros(len(at))
    density, weights = np.exp(values), np.broadcast_to(pixels, values.shape)
    mean = np.average(density, weights=weights)
    std = math.sqrt(np.average((density - mean) ** 2, weights=weights))
    return (np.exp(_float(at)) - mean) / std


def auc(at: np.ndarray, values: np.ndarray, pixels: np.ndarray | int = 1) -> np.ndarray:
    """Area under the ROC curve of each fixation against the nonfixations: (n,) in 0..1; a uniform map has 0.5.

    It is the share of nonfixations that have a lower value, equal ones counted half (Mann & Whitney 1947), so that the
    mean over the fixations is the area with all of them as positives.
    AUC: nonfixations are all pixels, fixated ones too: `values` and `pixels` of the whole map.
    Shuffled AUC (Tatler, Baddeley & Gilchrist 2005): `values` at the pixels of all fixations of all other images, see
    `rescaled_pixels`; `pixels` 1.
    """
    return Ranked(values).auc(at, pixels)


class Ranked:
    """The values of a map in ascending order, sorted once for every AUC that is asked of them."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = _float(values)
        # which of equal values comes first does not matter: their weights are added either way
        self._order = np.argsort(self._values, axis=None)
        self._ascending = self._values.ravel()[self._order]

    def auc(self, at: np.ndarray, weights: np.ndarray | int = 1) -> np.ndarray:
        """Area under the ROC curve of each fixation, see `auc`; weights: nonfixations of each value, whole numbers."""
        each = np.broadcast_to(weights, self._values.shape).ravel()
        lower_than = np.concatenate([[0.0], np.cumsum(each[self._order], dtype=np.float64)])
        at = _float(at)
        below = lower_than[np.searchsorted(self._ascending, at, "left")]
        not_above = lower_than[np.searchsorted(self._ascending, at, "right")]
        return (below + not_above) / (2 * lower_than[-1])


def rescaled_pixels(position: np.ndarray, size: np.ndarray | int, new_size: int) -> np.ndarray:
    """Pixels (n,) in an image of `new_size` rows (or columns) where fixations of images with `size` of them would lie.

    The position itself is scaled, then floored: pysaliency's way with the fixations of other images in shuffled AUC.
    """
    scaled = np.floor(_float(position) * (new_size / np.asarray(size)))
    return np.minimum(scaled, new_size - 1).astype(np.int64)  # rounding may lift the last sliver over the edge


def cc(density: np.ndarray, blurred: np.ndarray) -> float:
    """Pearson correlation over the pixels of the density with the blurred fixation density, both (H, W); -1..1.

    A constant map correlates with nothing: 0.
    """
    return Centred(density).cc(Centred(blurred))


class Centred:
    """A map less its mean, made once for every correlation that is asked of it."""

    def __init__(self, values: np.ndarray) -> None:
        self._is_constant = np.ptp(values) == 0
        self._values = _float(values) - np.mean(values, dtype=np.float64)
        self._sum_of_squares = np.square(self._values).sum()

    def cc(self, other: Centred) -> float:
        """Pearson correlation with another map of the same shape, see `cc`."""
        if self._is_constant or other._is_constant:
            return 0.0
        product = (self._values * other._values).sum()
        return float(product / math.sqrt(self._sum_of_squares * other._sum_of_squares))


def sim(density: np.ndarray, blurred: np.ndarray) -> float:
    """Similarity sum min(p, q) of the density and the blurred fixation density, both (H, W) and summing to 1; 0..1."""
    return float(np.minimum(_float(density), _float(blurred)).sum())


def _float(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


def blurred_density(y: np.ndarray, x: np.ndarray, height: int, width: int, sigma_px: float) -> np.ndarray:
    """The ground truth of CC and SIM: a Gaussian on each fixated pixel, (H, W), divided by the sum over the pixels.

    y, x: (n,) integer pixels; two fixations on one pixel count twice. Nothing is truncated; weight that falls outside
    the image is lost before the division (no reflection).
    ValueError: no fixation, or one outside the image.
    """
    if not len(y):
        raise ValueError("a density map needs at least one fixation")
    np.ravel_multi_index((y, x), (height, width))  # ValueError where one is outside
    # a Gaussian is a product of one in y and one in x, so their sum over the fixations is one matrix product
    rows, columns = (
        np.exp(-0.5 * ((np.arange(size) - np.asarray(at)[:, None]) / sigma_px) ** 2)
        for at, size in ((y, height), (x, width))
    )
    density = rows.T @ columns
    return density / density.sum()
