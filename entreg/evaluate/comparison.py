"""From per-image rows to the answer: arms, differences between them, and how sure those are."""
from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from entreg.evaluate.runs import Arm, baseline_of
from entreg.evaluate.statistics import (
    average_over_seeds, holm, mean_ci, paired_difference, spread_over_seeds,
)

log = logging.getLogger(__name__)

Rows = list[dict[str, Any]]  # one an image
NOT_METRICS = ("image", "category", "fixations")


def summarise(rows_by_seed: Sequence[Rows], resamples: int, seed: int) -> dict[str, Any]:
    """Every metric of an arm in one domain: averaged over seeds image by image, then over images.

    mean, std (ddof 1, over images), ci95 (over images), n_images, n_seeds, std_over_seeds
    """
    names = [row["image"] for row in rows_by_seed[0]]
    found = {}
    for metric in metrics_of(rows_by_seed[0]):
        values = values_of(rows_by_seed, metric)
        found[metric] = vars(mean_ci(average_over_seeds(values), names, resamples, seed)) | {
            "n_seeds": len(values), "std_over_seeds": spread_over_seeds(values),
        }
    return found


def metrics_of(rows: Rows) -> list[str]:
    """The metrics that a table has, in its order."""
    return [key for key in rows[0] if key not in NOT_METRICS]


def values_of(rows_by_seed: Sequence[Rows], metric: str) -> np.ndarray:
    """(n_seeds, n_images) of one metric."""
    return np.array([[row[metric] for row in rows] for rows in rows_by_seed], dtype=np.float64)


def compare(
    arms: Sequence[Arm], rows: Mapping[str, Mapping[str, Sequence[Rows]]], bias: Mapping[str, Mapping[str, Any]],
    resamples: int, seed: int,
) -> dict[str, dict[str, Any]]:
    """Every other arm against its baseline, by the arm's name; p values Holm-corrected over all of them.

    rows: by arm and domain, a table a seed; bias: the arms' bias entropies
    UserError where two arms were judged on different images.
    """
    found: dict[str, dict[str, Any]] = {}
    for arm in arms:
        baseline = baseline_of(arm, arms)
        if baseline is None or baseline is arm:
            continue
        if arm.seeds != baseline.seeds:
            log.warning("%s has seeds %s, %s has %s: how their difference scatters over seeds is not known",
                        arm.name, arm.seeds, baseline.name, baseline.seeds)
        found[arm.name] = {"baseline": baseline.name}
        for kind in ("", "_without_center_bias"):
            before, after = (bias[a.name][f"bias_entropy{kind}_nats"] for a in (baseline, arm))
            found[arm.name] |= {
                f"bias_entropy{kind}_increase_percent": (after - before) / before * 100,
                f"bias_entropy{kind}_increase_nats": after - before,
            }
        for domain in rows[arm.name]:
            found[arm.name][domain] = {
                _difference_name(metric): _difference(rows[arm.name][domain], rows[baseline.name][domain], metric,
                                                      arm.seeds == baseline.seeds, resamples, seed)
                for metric in metrics_of(rows[arm.name][domain][0])
                if not metric.startswith(("gold_", "oracle_")) and "prior" not in metric
            }
    _correct(found)
    return found


def _difference_name(metric: str) -> str:
    return metric.replace("_bits_per_fixation", "_difference_bits") if metric.endswith("_bits_per_fixation") \
        else f"{metric}_difference"


def _difference(
    ours: Sequence[Rows], base: Sequence[Rows], metric: str, same_seeds: bool, resamples: int, seed: int
) -> dict[str, Any]:
    a, b = values_of(ours, metric), values_of(base, metric)
    names_a, names_b = ([row["image"] for row in rows[0]] for rows in (ours, base))
    found = vars(paired_difference(average_over_seeds(a), average_over_seeds(b), names_a, names_b, resamples, seed))
    return found | {"n_seeds": min(len(a), len(b)), "std_over_seeds": spread_over_seeds(a - b) if same_seeds else None}


def _correct(comparisons: dict[str, dict[str, Any]]) -> None:
    """Adds p_holm beside p_wilcoxon: corrected over the arms, for each domain and metric by itself."""
    first = next(iter(comparisons.values()), {})
    for domain, differences in first.items():
        for metric in differences if isinstance(differences, dict) else ():
            cells = [c[domain][metric] for c in comparisons.values()]
            for cell, p in zip(cells, holm([cell["p_wilcoxon"] for cell in cells])):
                cell["p_holm"] = p


def explained(summary: Mapping[str, Any]) -> dict[str, float]:
    """IG as a share of the gold standard's (and of the oracle's), as a ratio of means. The gold standard is a lower bound
    of what can be explained, so the share is an upper bound."""
    found = {}
    for reference in ("gold", "oracle"):
        best = summary.get(f"{reference}_ig_bits_per_fixation")
        if best and best["mean"] > 0:
            found[f"share_of_{reference}"] = summary["ig_bits_per_fixation"]["mean"] / best["mean"]
    return found


def by_category(rows_by_seed: Sequence[Rows]) -> dict[str, dict[str, Any]]:
    """Mean IG (bit/fixation) of each category of images; empty where the data set has none."""
    categories = [row["category"] for row in rows_by_seed[0]]
    values = average_over_seeds(values_of(rows_by_seed, "ig_bits_per_fixation"))
    return {
        name: {"mean": float(values[[c == name for c in categories]].mean()), "n_images": categories.count(name)}
        for name in sorted({c for c in categories if c is not None})
    }


def band(arm: Arm, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the baseline's IG in domain lies in the band that the experiment expects, and where that comes from."""
    expected = arm.runs[0].config.evaluation
    if expected.ig_band_bits is None:
        return {"verdict": "not applicable", "why": "the experiment's config holds no expectation"}
    data = arm.runs[0].config.data
    if expected.ig_band_data is None:
        return {"verdict": "not applicable", "why": "evaluation.ig_band_data does not say which data set it is for"}
    if data.name != expected.ig_band_data or data.limit is not None or data.sample is not None:
        return {"verdict": "not applicable", "why": f"the expectation is for all of {expected.ig_band_data}"}
    metric = "ig_kde_bits_per_fixation" if expected.ig_band_prior == "kde" else "ig_bits_per_fixation"
    low, high = expected.ig_band_bits
    ig = summary[metric]["mean"]
    return {
        "verdict": "inside" if low <= ig <= high else "outside", "ig_bits_per_fixation": ig, "low": low, "high": high,
        "prior": expected.ig_band_prior, "source": expected.ig_band_source,
    }
