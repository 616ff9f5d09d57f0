"""Put the results of an evaluation together. This is arithmetic alone: no file is read and no model is run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from entreg.config import Evaluation, Primary
from entreg.evaluation.arm_results import arm_results
from entreg.evaluation.arms import LAMBDA, Arm
from entreg.evaluation.comparisons import compare
from entreg.evaluation.evidence import Evidence
from entreg.evaluation.metrics import METRICS, primary_metric
from entreg.evaluation.pooled_or_single import why_exploratory
from entreg.results.answer import answer_of
from entreg.results.schema import (
    BASELINE,
    FORMAT,
    IN_DOMAIN,
    SINGLE_SETS,
    Estimate,
    EvaluatedData,
    LeftOut,
    Plan,
    Results,
    SetMatrix,
)
from entreg.results.writing import plain


def summarise(
    arms: Sequence[Arm],
    keys: Sequence[str],
    evidence: Mapping[str, Evidence],
    data: dict[str, EvaluatedData],
    left_out: list[LeftOut],
    plan: Plan,
    settings: Evaluation,
    matrix: SetMatrix | None = None,
) -> Results:
    """Return the results of an evaluation.

    arms, keys: see `arms_of`; evidence: by arm; data: by domain; left_out: runs that have not finished
    matrix: where runs learned from different sets, see `matrix_of`
    """
    plan = _measured(plan, matrix)
    by_name = {arm.name: arm_results(arm, evidence[arm.name], plan) for arm in arms}
    comparisons = compare(arms, evidence, plan)
    regularised = [arm for arm in arms if not arm.is_baseline and not arm.is_fixed]
    baseline = next((arm for arm in arms if arm.is_baseline), None)
    planned = plan.arm if plan.against == BASELINE else None
    main_arm = planned or next((arm.name for arm in regularised if arm.name in comparisons), None)
    results = Results(
        format=FORMAT,
        study=arms[0].runs[0].config.study,
        grouped_by=list(keys),
        baseline=baseline.name if baseline else None,
        primary=plan,
        metrics={metric.key: metric.described() for metric in METRICS},
        arms=by_name,
        comparison={"arm": main_arm} | plain(comparisons[main_arm]) if main_arm else {},
        comparisons=comparisons,
        baseline_band=band(baseline, by_name[baseline.name].domains[IN_DOMAIN].metrics) if baseline else None,
        data=data,
        left_out=left_out,
        # a single lambda beside the baseline leaves nothing to choose
        lambda_chosen_on_validation=len({arm.settings.get(LAMBDA) for arm in regularised}) > 1,
        evaluation=dataclasses.asdict(settings),
        matrix=matrix,
    )
    return dataclasses.replace(results, answer=answer_of(results))


def _measured(plan: Plan, matrix: SetMatrix | None) -> Plan:
    """Return the plan, without its outcome where that is a comparison of single sets that cannot be measured."""
    if plan.against != SINGLE_SETS or plan.arm is None:
        return plan
    found = None if matrix is None else matrix.arms[plan.arm].pooled_or_single
    why = why_exploratory(found)
    return plan if why is None else dataclasses.replace(plan, arm=None, why=why)


def band(arm: Arm, metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    """Return whether the baseline's IG in domain lies in the expected band, and the source of that expectation."""
    expected = arm.runs[0].config.evaluation
    if expected.ig_band_bits is None:
        return _not_applicable("the experiment's config sets no expected band")
    data = arm.runs[0].config.data
    if expected.ig_band_data is None:
        return _not_applicable("evaluation.ig_band_data does not name the data set that the band is for")
    several = len(arm.runs[0].config.sets) > 1
    if several or data.name != expected.ig_band_data or data.limit is not None or data.sample is not None:
        return _not_applicable(f"the band is for all images of {expected.ig_band_data}")
    low, high = expected.ig_band_bits
    ig = metrics[primary_metric(Primary(metric="ig", prior=expected.ig_band_prior)).key].mean
    return {
        "verdict": "inside" if low <= ig <= high else "outside",
        "ig_bits_per_fixation": ig,
        "low": low,
        "high": high,
        "prior": expected.ig_band_prior,
        "source": expected.ig_band_source,
    }


def _not_applicable(why: str) -> dict[str, Any]:
    return {"verdict": "not applicable", "why": why}
