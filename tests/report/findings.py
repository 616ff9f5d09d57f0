"""What an evaluation hands to the page, made up from a seed by the evaluation's own arithmetic."""
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entreg.config import Config, Data, Loss
from entreg.evaluate import comparison
from entreg.evaluate.judgement import Bias, bias_row
from entreg.evaluate.runs import Arm, Run
from entreg.model.log_density import LogDensity
from entreg.report.figures import Prediction

METRICS = {  # a typical value of each
    "ig_bits_per_fixation": 1.2, "ig_kde_bits_per_fixation": 0.8, "ll_bits_per_fixation": 1.5, "kl_bits": 9.0,
    "kl_gaussian_prior_bits": 10.2, "kl_kde_prior_bits": 9.8, "nss": 2.0, "auc": 0.8, "sauc": 0.7, "cc": 0.6,
    "sim": 0.5,
    "gold_ig_bits_per_fixation": 1.9,
}
SIZE = (36, 48)
RESAMPLES = (200, 0)


def findings(
    folder: Path, lambdas: tuple[float, ...] = (0.0, 1.0), seeds: int = 2, ood: bool = True, images: int = 12,
    categories: bool = False, gain: float = 0.05, labels: tuple[str, ...] = ("best", "median", "worst"),
) -> dict[str, Any]:
    """Arguments of page.write: an arm a lambda (0 is the baseline), each better than the one before by `gain` bit."""
    rng = np.random.default_rng(1)
    arms = [_arm(folder, value, seeds, len(lambdas) > 2) for value in lambdas]
    domains = {"in_domain": images} | ({"ood": images + 3} if ood else {})
    easy = {domain: rng.normal(0, 0.4, n) for domain, n in domains.items()}
    rows = {
        arm.name: {
            domain: [_rows(rng, easy[domain] + gain * rank, domain, categories) for _ in range(seeds)]
            for domain in domains
        }
        for rank, arm in enumerate(arms)
    }
    biases = {arm.name: _log_density(rng, 0.3 / (1 + rank)) for rank, arm in enumerate(arms)}
    found = {arm.name: _judged(arm, rows[arm.name], biases[arm.name]) for arm in arms}
    comparisons = comparison.compare(arms, rows, found, *RESAMPLES)
    baseline = next((arm for arm in arms if arm.is_baseline), None)
    results = {
        "study": "made-up", "grouped_by": sorted({key for arm in arms for key in arm.settings}),
        "baseline": baseline.name if baseline else None, "arms": found,
        "comparison": next(({"arm": name} | one for name, one in comparisons.items()), {}), "comparisons": comparisons,
        "baseline_band": comparison.band(baseline, found[baseline.name]["in_domain"]) if baseline else None,
        "data": {domain: {"name": f"made_up_{domain}", "n_images": n, "n_fixations": 90 * n, "kde_prior_images": 20 * n,
                          "gold_standard": {"bandwidth": 0.04, "weights": [0.7, 0.2, 0.1]}}
                 for domain, n in domains.items()},
        "left_out": [{"run": "multirun/made-up/7", "state": "unfinished", "failure": None}],
        "lambda_chosen_on_validation": len(lambdas) > 2, "evaluation": {"bootstrap": 200, "seed": 0},
    }
    return {
        "results": results,
        "per_image": [
            {"arm": arm, "seed": seed, "domain": domain} | row
            for arm, by_domain in rows.items() for domain, tables in by_domain.items()
            for seed, table in enumerate(tables) for row in table
        ],
        "histories": {arm.name: [_history(rng, rank) for _ in range(seeds)] for rank, arm in enumerate(arms)},
        "bias_maps": {name: density.full()[0].numpy() for name, density in biases.items()},
        "examples": {domain: [(label, _predictions(rng, arms)) for label in labels] for domain in domains},
        "provenance": {"git_commit": "0123456789abcdef", "git_clean": True, "packages": {"numpy": "2"}, "cuda": None},
    }


def _arm(folder: Path, value: float, seeds: int, named: bool) -> Arm:
    config = Config(data=Data(name="made_up"), loss=Loss(name="nll_entropy", lambda_entropy=value))
    config.evaluation.ig_band_bits, config.evaluation.ig_band_source = [0.5, 2.0], "made up"
    runs = []
    for seed in range(seeds):
        place = folder / f"{value:g}_{seed}"
        (place / ".hydra").mkdir(parents=True)
        (place / ".hydra/overrides.yaml").write_text(f"- loss.lambda_entropy={value:g}\n- seed={seed}\n")
        (place / "provenance.json").write_text(json.dumps({"git_commit": "fedcba9876543210", "git_clean": False}))
        runs.append(Run(place, config, {}))
    name = f"nll_entropy_lambda{value:g}" if named else ("nll_entropy" if value else "nll")
    return Arm(name, tuple(runs), {"loss.lambda_entropy": value} if named else {"loss.name": name})


def _rows(rng: np.random.Generator, shift: np.ndarray, domain: str, categories: bool) -> list[dict[str, Any]]:
    return [
        {"image": f"{domain}_{i}.png", "category": ("Art", "Social.1")[i % 2] if categories else None, "fixations": 90}
        | {name: value + by + float(rng.normal(0, 0.03)) for name, value in METRICS.items()}
        for i, by in enumerate(shift)
    ]


def _log_density(rng: np.random.Generator, spread: float) -> LogDensity:
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    grid = torch.from_numpy(-spread * 4 * (x**2 + y**2) + rng.normal(0, 0.05, SIZE))[None]
    ones = [torch.ones(n, dtype=torch.long) for n in SIZE]
    return LogDensity(grid - grid.logsumexp((-2, -1), keepdim=True), *ones)


def _judged(arm: Arm, rows: dict[str, Any], bias: LogDensity) -> dict[str, Any]:
    found: dict[str, Any] = {
        "settings": arm.settings, "seeds": list(range(len(arm.runs))), "runs": [str(run.folder) for run in arm.runs],
        "is_baseline": arm.is_baseline,
    }
    for domain, tables in rows.items():
        summary = comparison.summarise(tables, *RESAMPLES)
        found[domain] = summary | comparison.explained(summary) | {"by_category": comparison.by_category(tables)}
    if "ood" in rows:
        cell = found["ood"]["ig_bits_per_fixation"]
        found["ood"]["ig_by_center_bias"] = {"training": cell, "own": cell, "uniform": cell}
    found |= bias_row(Bias(bias, bias))
    found["bias_entropy_nats_by_seed"] = [found["bias_entropy_nats"] + 0.01 * seed for seed in range(len(arm.runs))]
    found |= {"center_bias_weight": 0.9, "sigma_px": 8.0, "stability": [
        {"seed": seed, "epochs": 5, "diverged": False, "final_validation_nll_nats": 11.2,
         "best_validation_nll_nats": 11.1, "last_minus_best_nats": 0.1} for seed in range(len(arm.runs))
    ]}
    return found


def _history(rng: np.random.Generator, rank: int) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "lr": 0.001 * 0.5**epoch, "train_nll_nats": 11 + math.exp(-epoch) + rng.normal(0, 0.01),
         "validation_nll_nats": 11.1 + math.exp(-epoch) + rng.normal(0, 0.01),
         "validation_ig_bits_per_fixation": 1.2 - math.exp(-epoch) + 0.02 * rank,
         "bias_entropy_nats": 7 + 0.05 * rank + 0.01 * epoch}
        for epoch in range(1, 6)
    ]


def _predictions(rng: np.random.Generator, arms: list[Arm]) -> dict[str, Prediction]:
    image = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    y, x = (rng.integers(0, n, 9) for n in SIZE)
    found = {}
    for arm in arms:
        title = f"a, b.png, {arm.name}: 1.20 bit/fixation"
        found[arm.name] = Prediction(title, image, _log_density(rng, 1).full()[0].numpy(), y, x)
    return found
