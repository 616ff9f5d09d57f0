"""Arms against their baselines: how much they differ, how sure that is, and what it allows to say."""
from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from entreg.evaluate.arms import Arm, baseline_of
from entreg.evaluate.metrics import METRICS, Metric
from entreg.evaluate.scores import Rows
from entreg.evaluate.statistics import (
    MeanOverImages,
    PairedDifference,
    average_over_seeds,
    holm,
    paired_difference,
    spread_over_seeds,
)

log = logging.getLogger(__name__)

LEVEL = 0.05
BETTER, WORSE, UNDECIDED, NO_INTERVAL = "better", "worse", "no clear difference", "no interval"


@dataclass(frozen=True)
class Difference(PairedDifference):
    """A metric's difference to the baseline, paired image by image.

    std_over_seeds: of the difference, None where the arms' seeds are not the same
    p_holm: p_wilcoxon corrected over the arms; verdict: better, worse, no clear difference or no interval
    """

    n_seeds: int
    std_over_seeds: float | None
    p_holm: float
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """An arm against its baseline.

    entropy: increases of the bias map's entropy, nats and percent; domains: by domain and metric
    """

    baseline: str
    entropy: dict[str, float] = field(metadata={"spread": True})
    domains: dict[str, dict[str, Difference]] = field(metadata={"spread": True})


def metrics_in(rows: Rows) -> list[Metric]:
    """The metrics that a table has."""
    return [metric for metric in METRICS if metric.key in rows[0]]


def values_of(rows_by_seed: Sequence[Rows], key: str) -> np.ndarray:
    """(n_seeds, n_images) of one metric."""
    return np.array([[row[key] for row in rows] for rows in rows_by_seed], dtype=np.float64)


def compare(
    arms: Sequence[Arm], rows: Mapping[str, Mapping[str, Sequence[Rows]]], bias: Mapping[str, Mapping[str, float]],
    resamples: int, seed: int,
) -> dict[str, Comparison]:
    """Every other arm against its baseline, by the arm's name; p values Holm-corrected over all of them.

    rows: by arm and domain, a table for each seed; bias: the arms' bias entropies
    UserError where two arms were judged on different images.
    """
    found: dict[str, Comparison] = {}
    for arm in arms:
        baseline = baseline_of(arm, list(arms))
        if baseline is None or baseline is arm:
            continue
        if arm.seeds != baseline.seeds:
            log.warning("%s has seeds %s, %s has %s: how their difference scatters over seeds is not known",
                        arm.name, arm.seeds, baseline.name, baseline.seeds)
        domains = {
            domain: {
                metric.difference_key: _difference(tables, rows[baseline.name][domain], metric.key,
                                                   arm.seeds == baseline.seeds, resamples, seed)
                for metric in metrics_in(tables[0]) if metric.compared
            }
            for domain, tables in rows[arm.name].items()
        }
        found[arm.name] = Comparison(baseline.name, _entropy_increase(bias[arm.name], bias[baseline.name]), domains)
    return _judged(found)


def verdict(cell: MeanOverImages, p_holm: float, better: str | None) -> str:
    """What a difference allows to say: better or worse where the interval excludes 0 and the corrected p is below LEVEL."""
    if cell.ci95 is None:
        return NO_INTERVAL
    low, high = cell.ci95
    if p_holm >= LEVEL or low <= 0 <= high:
        return UNDECIDED
    return BETTER if (low > 0) == (better == "higher") else WORSE


def band(arm: Arm, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the baseline's IG in domain lies in the band that the experiment expects, and where that comes from."""
    expected = arm.runs[0].config.evaluation
    if expected.ig_band_bits is None:
        return {"verdict": "not applicable", "why": "the experiment's config holds no expectation"}
    data = arm.runs[0].config.data
    if expected.ig_band_data is None:
        return {"verdict": "not applicable", "why": "evaluation.ig_band_data does not say which data set it is for"}
    if data.name != expected.ig_band_data or data.limit is not None or data.sample is not None:
        return {"verdict": "not applicable", "why": f"the expectation is for all of {expected.ig_band_data}"}
    low, high = expected.ig_band_bits
    ig = metrics["ig_kde_bits_per_fixation" if expected.ig_band_prior == "kde" else "ig_bits_per_fixation"].mean
    return {
        "verdict": "inside" if low <= ig <= high else "outside", "ig_bits_per_fixation": ig, "low": low, "high": high,
        "prior": expected.ig_band_prior, "source": expected.ig_band_source,
    }


def _difference(
    ours: Sequence[Rows], base: Sequence[Rows], key: str, same_seeds: bool, resamples: int, seed: int
) -> Difference:
    a, b = values_of(ours, key), values_of(base, key)
    names_a, names_b = ([row["image"] for row in rows[0]] for rows in (ours, base))
    paired = paired_difference(average_over_seeds(a), average_over_seeds(b), names_a, names_b, resamples, seed)
    over_seeds = spread_over_seeds(a - b) if same_seeds else None
    return Difference(**vars(paired), n_seeds=min(len(a), len(b)), std_over_seeds=over_seeds,
                      p_holm=paired.p_wilcoxon, verdict=UNDECIDED)


def _entropy_increase(ours: Mapping[str, float], base: Mapping[str, float]) -> dict[str, float]:
    found = {}
    for kind in ("", "_without_center_bias"):
        before, after = (bias[f"bias_entropy{kind}_nats"] for bias in (base, ours))
        found |= {
            f"bias_entropy{kind}_increase_percent": (after - before) / before * 100,
            f"bias_entropy{kind}_increase_nats": after - before,
        }
    return found


def _judged(comparisons: dict[str, Comparison]) -> dict[str, Comparison]:
    """With p_holm, corrected over the arms for each domain and metric by itself, and with verdicts."""
    for domain, differences in next(iter(comparisons.values())).domains.items() if comparisons else ():
        for metric in METRICS:
            if metric.difference_key not in differences:
                continue
            cells = [comparison.domains[domain][metric.difference_key] for comparison in comparisons.values()]
            corrected = holm([cell.p_wilcoxon for cell in cells])
            for comparison, cell, p in zip(comparisons.values(), cells, corrected, strict=True):
                comparison.domains[domain][metric.difference_key] = dataclasses.replace(
                    cell, p_holm=p, verdict=verdict(cell, p, metric.better)
                )
    return comparisons
