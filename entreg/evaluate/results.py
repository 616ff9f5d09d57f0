"""What results.json holds: arms, their differences, and what both rest on. Pure arithmetic on what was judged."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from entreg.config import Evaluation
from entreg.evaluate import comparison, judgement
from entreg.evaluate.comparison import Rows
from entreg.evaluate.judgement import Bias
from entreg.evaluate.runs import Arm

LAMBDA = "loss.lambda_entropy"
Size = tuple[int, int]


def results(
    arms: Sequence[Arm], keys: Sequence[str], rows: Mapping[str, Mapping[str, Sequence[Rows]]],
    bias: Mapping[str, Sequence[Mapping[Size, Bias]]], data: Mapping[str, Any], left_out: Sequence[Mapping[str, Any]],
    settings: Evaluation,
) -> dict[str, Any]:
    """results.json.

    arms, keys: see `runs.arms_of`; rows: by arm and domain, a table a seed; bias: by arm, for each seed the bias maps by
    (H, W), the study's landscape size first; data: of each domain; left_out: unfinished runs
    """
    sure = (settings.bootstrap, settings.seed)
    found = {arm.name: _arm(arm, rows[arm.name], bias[arm.name], *sure) for arm in arms}
    comparisons = comparison.compare(arms, rows, found, *sure)
    regularised = [arm for arm in arms if not arm.is_baseline]
    baseline = next((arm for arm in arms if arm.is_baseline), None)
    first = next((arm.name for arm in regularised if arm.name in comparisons), None)
    return {
        "study": arms[0].runs[0].config.study,
        "grouped_by": list(keys),
        "baseline": baseline.name if baseline else None,
        "arms": found,
        "comparison": {"arm": first} | comparisons[first] if first else {},
        "comparisons": comparisons,
        "baseline_band": comparison.band(baseline, found[baseline.name]["in_domain"]) if baseline else None,
        "data": data,
        "left_out": left_out,
        # one lambda beside the baseline leaves nothing to choose
        "lambda_chosen_on_validation": len({arm.settings.get(LAMBDA) for arm in regularised}) > 1,
        "evaluation": dataclasses.asdict(settings),
    }


def _arm(
    arm: Arm, rows: Mapping[str, Sequence[Rows]], bias: Sequence[Mapping[Size, Bias]], resamples: int, seed: int
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "settings": arm.settings, "seeds": arm.seeds, "runs": [str(run.folder) for run in arm.runs],
        "is_baseline": arm.is_baseline,
    }
    for name, tables in rows.items():
        summary = comparison.summarise(tables, resamples, seed)
        found[name] = summary | comparison.explained(summary) | {"by_category": comparison.by_category(tables)}
    if "ood" in found:
        ood = found["ood"]
        ood["ig_by_center_bias"] = {
            "training": ood["ig_bits_per_fixation"], "own": ood["ig_own_center_bias_bits_per_fixation"],
            "uniform": ood["ig_uniform_center_bias_bits_per_fixation"],
        }
    landscape = next(iter(bias[0]))
    per_seed = [judgement.bias_row(maps[landscape]) for maps in bias]
    found |= {key: float(np.mean([row[key] for row in per_seed])) for key in per_seed[0]}
    found["bias_entropy_nats_by_seed"] = [row["bias_entropy_nats"] for row in per_seed]
    found["bias_entropy_nats_by_size"] = {
        f"{size[1]}x{size[0]}": float(np.mean([judgement.bias_row(maps[size])["bias_entropy_nats"] for maps in bias]))
        for size in bias[0]
    }
    last = [run.state["history"][-1] for run in arm.runs]
    found["center_bias_weight"] = float(np.mean([row["center_bias_weight"] for row in last]))
    found["sigma_px"] = float(np.mean([row["sigma_px"] for row in last]))
    found["stability"] = [{"seed": run.config.seed} | judgement.stability(run) for run in arm.runs]
    return found
