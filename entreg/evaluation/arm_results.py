"""The results of each arm by itself: its metrics in every domain, its bias maps, and how its trainings went."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from entreg.evaluation import differences
from entreg.evaluation.adaptation import ADAPTED, SUBSETS, Adapted
from entreg.evaluation.arms import Arm, result_settings
from entreg.evaluation.bias_map import entropies
from entreg.evaluation.differences import metrics_in, values_of
from entreg.evaluation.evidence import Evidence
from entreg.evaluation.metrics import PRIMARY
from entreg.evaluation.scores import Rows
from entreg.results.schema import ArmInDomain, ArmLadder, ArmResults, Category, Estimate, Plan, SetNumbers
from entreg.study.finished_run import FinishedRun


def arm_results(arm: Arm, evidence: Evidence, plan: Plan) -> ArmResults:
    """Return the results of an arm."""
    run_entropies = evidence.entropies()
    learned = [run.learned() for run in arm.runs]
    domains = {name: _in_domain(name, evidence, arm.is_fixed) for name in evidence.rows}
    for mean, names in evidence.means(plan).items():
        metrics = {
            metric.key: differences.estimate(evidence.values(names, metric.key), arm.is_fixed, metric.bounds)
            for metric in metrics_in([evidence.rows[name] for name in names])
        }
        domains[mean] = ArmInDomain(metrics, {}, {}, None, None, None)
    stability = [_place(run) | run.stability() for run in arm.trained_runs]
    return ArmResults(
        settings=arm.settings,
        seeds=arm.seeds,
        folds=arm.folds,
        runs=[str(run.folder) for run in arm.trained_runs],
        is_baseline=arm.is_baseline,
        domains=domains,
        entropies={key: float(np.mean([row[key] for row in run_entropies])) for key in run_entropies[0]},
        bias_entropy_nats_by_seed=evidence.by_training([row["bias_entropy_nats"] for row in run_entropies]).tolist(),
        bias_entropy_nats_by_size={
            f"{size[1]}x{size[0]}": float(
                np.mean([entropies(by_size[size])["bias_entropy_nats"] for by_size in evidence.maps])
            )
            for size in evidence.maps[0]  # runs that learned from other sets may have other sizes
            if all(size in by_size for by_size in evidence.maps)
        },
        center_bias_weight=float(np.mean([row["center_bias_weight"] for row in learned])),
        sigma_px=float(np.mean([row["sigma_px"] for row in learned])),
        stability=stability,
        published=arm.published,
        configured=result_settings(arm.runs[0].config),
        sets_left_out=arm.left_out or None,
        ig_bits_by_set_left_out=dict(evidence.by_set_left_out) or None,
        per_set=own_numbers(arm.runs) or None,
    )


def own_numbers(runs: Sequence[FinishedRun]) -> dict[str, SetNumbers]:
    """Return, by set, the means of the numbers that it has of its own over the runs that learned from it."""
    found: dict[str, list[dict[str, float]]] = {}
    for run in runs:
        for of_set, numbers in run.own_numbers().items():
            factor = {"sigma_factor": numbers["sigma_px"] / run.learned()["sigma_px"]} if "sigma_px" in numbers else {}
            found.setdefault(of_set, []).append(numbers | factor)
    keys = [field.name for field in dataclasses.fields(SetNumbers)]
    return {
        of_set: SetNumbers(
            **{key: float(np.mean([one[key] for one in each])) if key in each[0] else None for key in keys}
        )
        for of_set, each in sorted(found.items())
    }


def explained(metrics: Mapping[str, Estimate]) -> dict[str, float]:
    """Return IG as a share of the gold standard's and of the oracle's IG, where these are above 0."""
    shares = {}
    for reference in ("gold", "oracle"):
        best = metrics.get(f"{reference}_{PRIMARY}")
        if best and best.mean > 0:
            shares[f"share_of_{reference}"] = metrics[PRIMARY].mean / best.mean
    return shares


def by_category(rows_by_seed: Sequence[Rows]) -> dict[str, Category]:
    """Return the mean IG of each category of images; empty where the data set has none."""
    categories = [row["category"] for row in rows_by_seed[0]]
    values = values_of(rows_by_seed, PRIMARY).mean(0)
    return {
        name: Category(float(values[[category == name for category in categories]].mean()), categories.count(name))
        for name in sorted({category for category in categories if category is not None})
    }


def _place(run: FinishedRun) -> dict[str, Any]:
    """Return which run of its arm it is."""
    config = run.config
    return {"seed": config.seed, "fold": config.data.fold} | (
        {"left_out": " + ".join(run.left_out)} if run.left_out else {}
    )


def _in_domain(name: str, evidence: Evidence, fixed: bool) -> ArmInDomain:
    tables = evidence.rows[name]
    metrics = {
        metric.key: differences.estimate(evidence.values([name], metric.key), fixed, metric.bounds)
        for metric in metrics_in([tables])
    }
    own_center_bias = metrics.get("ig_own_center_bias_bits_per_fixation")
    by_center_bias = (
        None
        if own_center_bias is None
        else {
            "training": metrics[PRIMARY],
            "own": own_center_bias,
            "uniform": metrics["ig_uniform_center_bias_bits_per_fixation"],
        }
    )
    adapted, kl_bits = evidence.adapted.get(name), evidence.kl_bits.get(name)
    return ArmInDomain(
        metrics,
        explained(metrics),
        by_category(tables),
        by_center_bias,
        _ladder(adapted) if adapted else None,
        float(np.mean(kl_bits)) if kl_bits else None,
    )


def _ladder(adapted: Sequence[Adapted]) -> ArmLadder:
    """Return the adaptations of an arm's runs to a foreign set, averaged over runs and folds."""
    fits = [(fit, of_run) for of_run in adapted for fit in of_run.fits[ADAPTED]]
    ends = {
        "scale at 0": sum(fit.scale == 0 for fit, _ in fits),
        "weight at 0": sum(fit.weight == 0 for fit, _ in fits),
        "no blur": sum(fit.sigma_px <= of_run.narrowest_px for fit, of_run in fits),
        "widest blur": sum(fit.sigma_px >= of_run.widest_px for fit, of_run in fits),
    }
    return ArmLadder(
        {
            "+".join(subset) or "none": float(np.mean([of_run.ig_bits[subset].mean() for of_run in adapted]))
            for subset in SUBSETS
        },
        scale=float(np.mean([fit.scale for fit, _ in fits])),
        sigma_factor=float(np.mean([fit.sigma_px / of_run.trained.sigma_px for fit, of_run in fits])),
        center_bias_weight=float(np.mean([fit.weight for fit, _ in fits])),
        scale_alone=float(np.mean([fit.scale for of_run in adapted for fit in of_run.fits[("scale",)]])),
        ends={name: count for name, count in ends.items() if count},
        fits=len(fits),
    )
