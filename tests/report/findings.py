"""What an evaluation hands to the page, made up from a seed by the evaluation's own arithmetic."""
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entreg.config import Config, Data, Evaluation, Loss
from entreg.evaluate.arms import Arm
from entreg.evaluate.bias_map import BiasMaps
from entreg.evaluate.results import JudgedData, LeftOut, plain, results
from entreg.evaluate.runs import Run
from entreg.model.log_density import LogDensity
from entreg.report.panels import Prediction
from entreg.run.folder import RunFolder

METRICS = {  # a typical value of each
    "ig_bits_per_fixation": 1.2, "ig_kde_bits_per_fixation": 0.8, "ll_bits_per_fixation": 1.5, "kl_bits": 9.0,
    "kl_gaussian_prior_bits": 10.2, "kl_kde_prior_bits": 9.8, "nss": 2.0, "auc": 0.8, "sauc": 0.7, "cc": 0.6,
    "sim": 0.5,
    "gold_ig_bits_per_fixation": 1.9,
}
OOD_METRICS = {"ig_own_center_bias_bits_per_fixation": 1.3, "ig_uniform_center_bias_bits_per_fixation": 1.0}
SIZE = (36, 48)


def findings(
    folder: Path, lambdas: tuple[float, ...] = (0.0, 1.0), seeds: int = 2, ood: bool = True, images: int = 12,
    categories: bool = False, gain: float = 0.05, labels: tuple[str, ...] = ("best", "median", "worst"),
) -> dict[str, Any]:
    """Arguments of page.write beside the folder: an arm for each lambda (0 is the baseline), each better than the one before by `gain` bit."""
    rng = np.random.default_rng(1)
    arms = [_arm(rng, folder, rank, value, seeds, len(lambdas) > 2) for rank, value in enumerate(lambdas)]
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
    data = {
        domain: JudgedData(f"made_up_{domain}", n, 90 * n, 20 * n, {"bandwidth": 0.04, "weights": [0.7, 0.2, 0.1]})
        for domain, n in domains.items()
    }
    bias = {name: [{SIZE: BiasMaps(density, density)}] * seeds for name, density in biases.items()}
    left_out = [LeftOut("multirun/made-up/7", "unfinished", None)]
    keys = sorted({key for arm in arms for key in arm.settings})
    return {
        "results": plain(results(arms, keys, rows, bias, data, left_out, Evaluation(bootstrap=200))),
        "per_image": [
            {"arm": arm, "seed": seed, "domain": domain} | row
            for arm, by_domain in rows.items() for domain, tables in by_domain.items()
            for seed, table in enumerate(tables) for row in table
        ],
        "histories": {arm.name: [run.state["history"] for run in arm.runs] for arm in arms},
        "bias_maps": {name: density.full()[0].numpy() for name, density in biases.items()},
        "examples": {domain: [(label, _predictions(rng, arms)) for label in labels] for domain in domains},
        "provenance": {"git_commit": "0123456789abcdef", "git_clean": True, "packages": {"numpy": "2"}, "cuda": None},
    }


def _arm(rng: np.random.Generator, folder: Path, rank: int, value: float, seeds: int, named: bool) -> Arm:
    expected = Evaluation(ig_band_bits=[0.5, 2.0], ig_band_data="made_up", ig_band_source="made up")
    runs = []
    for seed in range(seeds):
        place = folder / f"{value:g}_{seed}"
        (place / ".hydra").mkdir(parents=True)
        (place / ".hydra/overrides.yaml").write_text(f"- loss.lambda_entropy={value:g}\n- seed={seed}\n")
        (place / "provenance.json").write_text(json.dumps({"git_commit": "fedcba9876543210", "git_clean": False}))
        loss = Loss(name="nll_entropy", lambda_entropy=value)
        config = Config(data=Data(name="made_up"), loss=loss, evaluation=expected, seed=seed, study="made-up")
        runs.append(Run(RunFolder(place), config, {"history": _history(rng, rank)}))
    name = ("nll_entropy" + f"_lambda{value:g}" * named) if value else "nll"
    settings = {"loss.name": "nll_entropy" if value else "nll"} | ({"loss.lambda_entropy": value or None} if named else {})
    return Arm(name, tuple(runs), settings)


def _rows(rng: np.random.Generator, shift: np.ndarray, domain: str, categories: bool) -> list[dict[str, Any]]:
    metrics = METRICS | (OOD_METRICS if domain == "ood" else {})
    return [
        {"image": f"{domain}_{i}.png", "category": ("Art", "Social.1")[i % 2] if categories else None, "fixations": 90}
        | {name: value + by + float(rng.normal(0, 0.03)) for name, value in metrics.items()}
        for i, by in enumerate(shift)
    ]


def _log_density(rng: np.random.Generator, spread: float) -> LogDensity:
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    grid = torch.from_numpy(-spread * 4 * (x**2 + y**2) + rng.normal(0, 0.05, SIZE))[None]
    ones = [torch.ones(n, dtype=torch.long) for n in SIZE]
    return LogDensity(grid - grid.logsumexp((-2, -1), keepdim=True), *ones)


def _history(rng: np.random.Generator, rank: int) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "lr": 0.001 * 0.5**epoch, "train_nll_nats": 11 + math.exp(-epoch) + rng.normal(0, 0.01),
         "validation_nll_nats": 11.1 + math.exp(-epoch) + rng.normal(0, 0.01),
         "validation_ig_bits_per_fixation": 1.2 - math.exp(-epoch) + 0.02 * rank,
         "bias_entropy_nats": 7 + 0.05 * rank + 0.01 * epoch, "center_bias_weight": 0.9, "sigma_px": 8.0}
        for epoch in range(1, 6)
    ]


def _predictions(rng: np.random.Generator, arms: list[Arm]) -> dict[str, Prediction]:
    image = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    y, x = (rng.integers(0, n, 9) for n in SIZE)
    found = {}
    for arm in arms:
        title = f"{arm.name}: 1.20 bit/fixation"
        found[arm.name] = Prediction("a, b.png", title, image, _log_density(rng, 1).full()[0].numpy(), y, x)
    return found
