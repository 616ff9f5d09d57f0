"""The form of results.json, and how it is put together from what was scored.

Each class below is an object of the file, each field a key. Where `spread` stands, the keys of that mapping stand beside
the other keys: `arms.NAME.in_domain.nss.mean` is the mean NSS of an arm in domain.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from entreg.config import Evaluation
from entreg.evaluate import differences
from entreg.evaluate.arms import Arm
from entreg.evaluate.bias_map import BiasMaps, entropies
from entreg.evaluate.differences import Comparison
from entreg.evaluate.metrics import METRICS, PRIMARY
from entreg.evaluate.scores import Rows
from entreg.evaluate.statistics import (
    MeanOverImages,
    average_over_seeds,
    mean_ci,
    spread_over_seeds,
)
from entreg.study.part import Size

LAMBDA = "loss.lambda_entropy"


def spread() -> Any:
    """A mapping whose keys stand beside the other fields."""
    return field(metadata={"spread": True})


@dataclass(frozen=True)
class ArmMean(MeanOverImages):
    """A metric of an arm in a domain, averaged over seeds image by image; std_over_seeds: None for one seed."""

    n_seeds: int
    std_over_seeds: float | None


@dataclass(frozen=True)
class Category:
    """Mean IG (bit/fixation) of the images of one category."""

    mean: float
    n_images: int


@dataclass(frozen=True)
class ArmInDomain:
    """An arm in a domain.

    shares: IG as a share of the gold standard's (and of the oracle's), as ratios of means. The gold standard is a lower
        bound of what can be explained, so its share is an upper bound.
    ig_by_center_bias: IG (bit/fixation) by the centre bias given to the model: `training`, the set's `own`, `uniform`
    """

    metrics: dict[str, ArmMean] = spread()
    shares: dict[str, float] = spread()
    by_category: dict[str, Category]
    ig_by_center_bias: dict[str, ArmMean] | None


@dataclass(frozen=True)
class ArmResults:
    """An arm: what it is, what it is worth in each domain, its own bias, and how its trainings went.

    entropies: of the bias map at the landscape size, see `bias_map.entropies`, means over seeds
    """

    settings: dict[str, Any]
    seeds: list[int]
    runs: list[str]
    is_baseline: bool
    domains: dict[str, ArmInDomain] = spread()
    entropies: dict[str, float] = spread()
    bias_entropy_nats_by_seed: list[float]
    bias_entropy_nats_by_size: dict[str, float]
    center_bias_weight: float
    sigma_px: float
    stability: list[dict[str, Any]]


@dataclass(frozen=True)
class JudgedData:
    """The images of a domain and what their priors rest on."""

    name: str
    n_images: int
    n_fixations: int
    kde_prior_images: int
    gold_standard: dict[str, Any] | None


@dataclass(frozen=True)
class LeftOut:
    """A run that is in no number; where it failed, why."""

    run: str
    state: str
    failure: str | None


@dataclass(frozen=True)
class Results:
    """results.json. comparison: that of the first regularised arm; metrics: what the metrics' keys mean."""

    study: str
    grouped_by: list[str]
    baseline: str | None
    metrics: dict[str, dict[str, Any]]
    arms: dict[str, ArmResults]
    comparison: dict[str, Any]
    comparisons: dict[str, Comparison]
    baseline_band: dict[str, Any] | None
    data: dict[str, JudgedData]
    left_out: list[LeftOut]
    lambda_chosen_on_validation: bool
    evaluation: dict[str, Any]


def results(
    arms: Sequence[Arm], keys: Sequence[str], rows: Mapping[str, Mapping[str, Sequence[Rows]]],
    maps: Mapping[str, Sequence[Mapping[Size, BiasMaps]]], data: dict[str, JudgedData], left_out: list[LeftOut],
    settings: Evaluation,
) -> Results:
    """Pure arithmetic on what was scored.

    arms, keys: see `arms_of`; rows: by arm and domain, a table for each seed; maps: by arm, for each seed the bias maps by
    (H, W), the study's landscape size first; data: of each domain; left_out: unfinished runs
    """
    by_name = {arm.name: _arm(arm, rows[arm.name], maps[arm.name], settings) for arm in arms}
    bias = {name: found.entropies for name, found in by_name.items()}
    comparisons = differences.compare(arms, rows, bias, settings.bootstrap, settings.seed)
    regularised = [arm for arm in arms if not arm.is_baseline]
    baseline = next((arm for arm in arms if arm.is_baseline), None)
    first = next((arm.name for arm in regularised if arm.name in comparisons), None)
    return Results(
        study=arms[0].runs[0].config.study,
        grouped_by=list(keys),
        baseline=baseline.name if baseline else None,
        metrics={metric.key: dataclasses.asdict(metric) for metric in METRICS},
        arms=by_name,
        comparison={"arm": first} | plain(comparisons[first]) if first else {},
        comparisons=comparisons,
        baseline_band=differences.band(baseline, by_name[baseline.name].domains["in_domain"].metrics) if baseline else None,
        data=data,
        left_out=left_out,
        # one lambda beside the baseline leaves nothing to choose
        lambda_chosen_on_validation=len({arm.settings.get(LAMBDA) for arm in regularised}) > 1,
        evaluation=dataclasses.asdict(settings),
    )


def plain(node: Any) -> Any:
    """What is written to results.json: objects and lists of plain values; None where a field has no value."""
    if dataclasses.is_dataclass(node):
        found: dict[str, Any] = {}
        for item in dataclasses.fields(node):
            value = plain(getattr(node, item.name))
            found |= value if item.metadata.get("spread") else {item.name: value}
        return found
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items()}
    return [plain(value) for value in node] if isinstance(node, (list, tuple)) else node


def summarise(rows_by_seed: Sequence[Rows], settings: Evaluation) -> dict[str, ArmMean]:
    """Every metric of an arm in one domain: averaged over seeds image by image, then over images."""
    names = [row["image"] for row in rows_by_seed[0]]
    found = {}
    for metric in differences.metrics_in(rows_by_seed[0]):
        values = differences.values_of(rows_by_seed, metric.key)
        mean = mean_ci(average_over_seeds(values), names, settings.bootstrap, settings.seed)
        found[metric.key] = ArmMean(**vars(mean), n_seeds=len(values), std_over_seeds=spread_over_seeds(values))
    return found


def explained(metrics: Mapping[str, ArmMean]) -> dict[str, float]:
    """IG as a share of the references' IG, where they explain anything."""
    found = {}
    for reference in ("gold", "oracle"):
        best = metrics.get(f"{reference}_{PRIMARY}")
        if best and best.mean > 0:
            found[f"share_of_{reference}"] = metrics[PRIMARY].mean / best.mean
    return found


def by_category(rows_by_seed: Sequence[Rows]) -> dict[str, Category]:
    """Mean IG of each category of images; empty where the data set has none."""
    categories = [row["category"] for row in rows_by_seed[0]]
    values = average_over_seeds(differences.values_of(rows_by_seed, PRIMARY))
    return {
        name: Category(float(values[[c == name for c in categories]].mean()), categories.count(name))
        for name in sorted({c for c in categories if c is not None})
    }


def _arm(
    arm: Arm, rows: Mapping[str, Sequence[Rows]], maps: Sequence[Mapping[Size, BiasMaps]], settings: Evaluation
) -> ArmResults:
    landscape = next(iter(maps[0]))
    per_seed = [entropies(by_size[landscape]) for by_size in maps]
    last = [run.history[-1] for run in arm.runs]
    return ArmResults(
        settings=arm.settings, seeds=arm.seeds, runs=[str(run.folder) for run in arm.runs], is_baseline=arm.is_baseline,
        domains={name: _in_domain(tables, settings) for name, tables in rows.items()},
        entropies={key: float(np.mean([row[key] for row in per_seed])) for key in per_seed[0]},
        bias_entropy_nats_by_seed=[row["bias_entropy_nats"] for row in per_seed],
        bias_entropy_nats_by_size={
            f"{size[1]}x{size[0]}": float(np.mean([entropies(by_size[size])["bias_entropy_nats"] for by_size in maps]))
            for size in maps[0]
        },
        center_bias_weight=float(np.mean([row["center_bias_weight"] for row in last])),
        sigma_px=float(np.mean([row["sigma_px"] for row in last])),
        stability=[{"seed": run.config.seed} | run.stability() for run in arm.runs],
    )


def _in_domain(tables: Sequence[Rows], settings: Evaluation) -> ArmInDomain:
    metrics = summarise(tables, settings)
    own = metrics.get("ig_own_center_bias_bits_per_fixation")
    return ArmInDomain(metrics, explained(metrics), by_category(tables), None if own is None else {
        "training": metrics[PRIMARY], "own": own, "uniform": metrics["ig_uniform_center_bias_bits_per_fixation"],
    })
