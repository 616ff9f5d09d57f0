"""The metrics: how well a predicted density explains the fixations on one image. `METRICS`, at the end, lists them.

A new metric takes an entry in that list and nothing else.

Log densities are in nats; what is named bits is in bits; everything is computed in float64. A map that is constant on
cells is not expanded to pixels: `values` holds its cells' log densities, in any shape such as (h, w), and `pixels` says
how many pixels each cell stands for (1 for a full map). `at` (n,) is the log density of the same map at the n
fixations. A fixation's pixel is floor(y), floor(x); a pixel that is fixated twice counts twice.

The conventions are pysaliency's; tests/golden/metrics.npz holds its numbers. Review: Kuemmerer, Wallis & Bethge 2018,
*Saliency benchmarking made easy*, ECCV.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from entreg.config import Primary
from entreg.errors import SettingError
from entreg.evaluation.scored_image import CentredOnCells, Ranked, ScoredImage
from entreg.results.schema import MetricDescription
from entreg.units import BITS_PER_NAT, uniform_log_density_nats


def ig_bits(at: np.ndarray, prior_at: np.ndarray) -> np.ndarray:
    """Return the information gain log2 p_model(x_i) - log2 p_prior(x_i) of each fixation: (n,), bits.

    Its mean is KL(h||prior) - KL(h||model), where h is the empirical distribution of the fixations, so the better model
    has the greater IG (Kuemmerer, Wallis & Bethge 2015, PNAS). Nothing is added to either density; code that adds an
    eps such as 2.2e-16 or 1e-20 to both (InfoGain.m of the MIT benchmark) gets other values where one is near eps.
    """
    return np.asarray((_float(at) - _float(prior_at)) * BITS_PER_NAT)


def ll_bits(at: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the log likelihood over the uniform density, log2 p_model(x_i) + log2(H*W), by fixation: (n,) bits."""
    return ig_bits(at, np.full(len(at), uniform_log_density_nats((height, width))))


def kl_bits(at: np.ndarray, y: np.ndarray, x: np.ndarray) -> float:
    """Return KL(h||p), the sum over fixated pixels of h log2(h / p), h = (fixations on the pixel) / n; bits.

    y, x: (n,) pixels of the fixations, n at least 1; at: the model's or the prior's log density at them
    """
    _, first, count = np.unique(np.stack([y, x]), axis=1, return_index=True, return_counts=True)
    share = count / len(at)
    return float((share * (np.log(share) - _float(at)[first])).sum() * BITS_PER_NAT)


def nss(at: np.ndarray, values: np.ndarray, pixels: np.ndarray | int = 1) -> np.ndarray:
    """Return the normalised scanpath saliency (p(x_i) - mean) / std of each fixation: (n,).

    p is the density, not its logarithm; mean and std (ddof 0) are taken over the image's pixels. The NSS of a constant
    map, whose std is 0, is 0, as in pysaliency. Source: Peters, Iyer, Itti & Koch 2005.
    """
    values = _float(values)
    if np.ptp(values) == 0:
        return np.zeros(len(at))
    density, weights = np.exp(values), np.broadcast_to(pixels, values.shape)
    mean = np.average(density, weights=weights)
    std = math.sqrt(np.average((density - mean) ** 2, weights=weights))
    return np.asarray((np.exp(_float(at)) - mean) / std)


def auc(at: np.ndarray, values: np.ndarray, pixels: np.ndarray | int = 1) -> np.ndarray:
    """Return the area under the ROC curve of each fixation against the nonfixations: (n,) in 0..1, 0.5 if uniform.

    It is the share of nonfixations that have a lower value, where equal ones count half (Mann & Whitney 1947), so that
    the mean over fixations is the area with all of them as positives.

    For AUC the nonfixations are all pixels, including the fixated ones: pass `values` and `pixels` of the whole map.
    For shuffled AUC (Tatler, Baddeley & Gilchrist 2005) they are the fixations on all other images: pass the `values`
    at their pixels, see `rescaled_pixels`, and 1 for `pixels`.
    """
    return Ranked(values).auc(at, pixels)


def cc(density: np.ndarray, blurred: np.ndarray) -> float:
    """Return the Pearson correlation over pixels of the density and the blurred fixation density, both (H, W); -1..1.

    The correlation of a constant map is 0.
    """
    each_pixel = [np.ones(length, dtype=np.int64) for length in density.shape]
    return CentredOnCells(blurred, each_pixel).cc(_float(density))


def sim(density: np.ndarray, blurred: np.ndarray) -> float:
    """Return the similarity, the sum of min(p, q) of density and blurred fixation density, both (H, W); 0..1."""
    return float(np.minimum(_float(density), _float(blurred)).sum())


def _float(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


def _mean_ig(at: np.ndarray | None, prior_at: np.ndarray) -> float | None:
    """Return the mean information gain over the fixations, bits; None where there is no log density at them."""
    return None if at is None else float(ig_bits(at, prior_at).mean())


@dataclass(frozen=True)
class Metric:
    """A number that is computed for every evaluated image that has what it needs.

    key: its column in per_image.csv; better: `higher` or `lower`, or None where it is shown for reference
    compared: whether arms are compared by it; meaning: an explanation for a reader who does not know it
    score: computes it for an image; None where the image lacks what it needs
    name: what `evaluation.primary.metric` calls it, by default its key; prior: the prior that it is measured over,
        where `evaluation.primary.prior` chooses between two metrics of the same name
    everywhere: whether every domain has it, so that a study can be planned for it
    bounds: between which its values lie; None where a value, or its distance to the others, is not bounded
    """

    key: str
    title: str
    unit: str
    better: str | None
    compared: bool
    meaning: str
    score: Callable[[ScoredImage], float | None]
    name: str = ""
    prior: str | None = None
    everywhere: bool = True
    bounds: tuple[float, float] | None = None

    @property
    def difference_key(self) -> str:
        """The key of its difference in a comparison of two arms."""
        stem, bits, _ = self.key.partition("_bits_per_fixation")
        return f"{stem}_difference_bits" if bits else f"{self.key}_difference"

    def described(self) -> MetricDescription:
        """Return its description in results.json."""
        return MetricDescription(
            self.key, self.title, self.unit, self.better, self.compared, self.meaning, self.difference_key
        )


PRIMARY, OVER_KDE, SHUFFLED = "ig_bits_per_fixation", "ig_kde_bits_per_fixation", "sauc"
METRICS = (
    Metric(
        PRIMARY,
        "IG over the Gaussian prior",
        "bit/fixation",
        "higher",
        True,
        "Information gain: how many bits better than a fixed central Gaussian the model predicts where a fixation "
        "lands; +1 bit doubles the predicted density there.",
        lambda image: _mean_ig(image.at, image.truth.log_gaussian),
        name="ig",
        prior="gaussian",
    ),
    Metric(
        OVER_KDE,
        "IG over the KDE prior",
        "bit/fixation",
        "higher",
        True,
        "The same over a smoothed density of the data set's fixations on its other images.",
        lambda image: _mean_ig(image.at, image.truth.log_kde),
        name="ig",
        prior="kde",
    ),
    Metric(
        "ll_bits_per_fixation",
        "log likelihood over uniform",
        "bit/fixation",
        "higher",
        True,
        "The same over the uniform density.",
        lambda image: ll_bits(image.at, *image.truth.size).mean(),
        name="ll",
    ),
    Metric(
        "nss",
        "NSS",
        "standard deviations",
        "higher",
        True,
        "Normalised scanpath saliency: the standardised density at the fixations.",
        lambda image: nss(image.at, image.grid, image.pixels).mean(),
    ),
    Metric(
        "auc",
        "AUC",
        "0 to 1",
        "higher",
        True,
        "The chance that a fixated pixel has a higher value than another pixel of the image; 0.5 is chance.",
        lambda image: image.ranked.auc(image.at, image.pixels).mean(),
        bounds=(0.0, 1.0),
    ),
    Metric(
        SHUFFLED,
        "shuffled AUC",
        "0 to 1",
        "higher",
        True,
        "The chance that a fixated pixel has a higher value than a pixel fixated in another image; 0.5 is chance. "
        "There is none where one image alone has fixations.",
        lambda image: image.ranked.auc(image.at, image.nonfixations).mean() if image.nonfixations.any() else None,
        bounds=(0.0, 1.0),
    ),
    Metric(
        "cc",
        "CC",
        "−1 to 1",
        "higher",
        True,
        "Correlation with the blurred fixation density.",
        lambda image: image.blurred.cc(image.density),
        bounds=(-1.0, 1.0),
    ),
    Metric(
        "sim",
        "SIM",
        "0 to 1",
        "higher",
        True,
        "Overlap with the blurred fixation density.",
        lambda image: sim(image.full, image.truth.blurred),
        bounds=(0.0, 1.0),
    ),
    Metric(
        "kl_bits",
        "KL(fixations || model)",
        "bits",
        "lower",
        True,
        "Bits by which the density falls short of the empirical fixation distribution; the prior's minus the model's "
        "is the IG.",
        lambda image: kl_bits(image.at, image.truth.y, image.truth.x),
    ),
    Metric(
        "kl_gaussian_prior_bits",
        "KL(fixations || Gaussian prior)",
        "bits",
        None,
        False,
        "The same divergence of the Gaussian prior.",
        lambda image: kl_bits(image.truth.log_gaussian, image.truth.y, image.truth.x),
    ),
    Metric(
        "kl_kde_prior_bits",
        "KL(fixations || KDE prior)",
        "bits",
        None,
        False,
        "The same divergence of the KDE prior.",
        lambda image: kl_bits(image.truth.log_kde, image.truth.y, image.truth.x),
    ),
    Metric(
        "gold_ig_bits_per_fixation",
        "gold standard's IG",
        "bit/fixation",
        None,
        False,
        "What other people's fixations on the same image predict, over the Gaussian prior.",
        lambda image: _mean_ig(image.truth.log_references.get("gold"), image.truth.log_gaussian),
    ),
    Metric(
        "gold_ig_kde_bits_per_fixation",
        "gold standard's IG over the KDE prior",
        "bit/fixation",
        None,
        False,
        "What other people's fixations on the same image predict, over the KDE prior.",
        lambda image: _mean_ig(image.truth.log_references.get("gold"), image.truth.log_kde),
    ),
    Metric(
        "oracle_ig_bits_per_fixation",
        "oracle's IG",
        "bit/fixation",
        None,
        False,
        "What the true density of synthetic images predicts, over the Gaussian prior.",
        lambda image: _mean_ig(image.truth.log_references.get("oracle"), image.truth.log_gaussian),
    ),
    Metric(
        "oracle_ig_kde_bits_per_fixation",
        "oracle's IG over the KDE prior",
        "bit/fixation",
        None,
        False,
        "What the true density of synthetic images predicts, over the KDE prior.",
        lambda image: _mean_ig(image.truth.log_references.get("oracle"), image.truth.log_kde),
    ),
    Metric(
        "ig_own_center_bias_bits_per_fixation",
        "IG with the set's own centre bias",
        "bit/fixation",
        "higher",
        True,
        "IG over the Gaussian prior of a model that receives the evaluated set's centre bias as input.",
        lambda image: _mean_ig(image.at_given.get("own"), image.truth.log_gaussian),
        everywhere=False,
    ),
    Metric(
        "ig_uniform_center_bias_bits_per_fixation",
        "IG with a uniform centre bias",
        "bit/fixation",
        "higher",
        True,
        "IG over the Gaussian prior of a model that receives a uniform centre bias as input.",
        lambda image: _mean_ig(image.at_given.get("uniform"), image.truth.log_gaussian),
        everywhere=False,
    ),
)
# per_image.csv holds the divergences before the metrics of the map; results and page hold them after those
_FIRST_COLUMNS = (
    PRIMARY,
    OVER_KDE,
    "ll_bits_per_fixation",
    "kl_bits",
    "kl_gaussian_prior_bits",
    "kl_kde_prior_bits",
)


def scores_of(image: ScoredImage) -> dict[str, float]:
    """Return every metric that can be computed for the image, by key, in the order of per_image.csv's columns."""
    scores = {metric.key: metric.score(image) for metric in METRICS}
    order = dict.fromkeys((*_FIRST_COLUMNS, *scores))
    return {key: float(value) for key in order if (value := scores[key]) is not None}


def primary_metric(primary: Primary) -> Metric:
    """Return the metric that a study is planned for. Raises a SettingError that lists all names where it is unknown."""
    planned = [metric for metric in METRICS if metric.compared and metric.everywhere]
    for metric in planned:
        if (metric.name or metric.key) == primary.metric and metric.prior in (None, primary.prior):
            return metric
    names = ", ".join(dict.fromkeys(metric.name or metric.key for metric in planned))
    raise SettingError(
        f"evaluation.primary.metric={primary.metric} is no metric by which arms are compared (one of {names})"
    )
