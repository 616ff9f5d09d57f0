"""What an evaluation hands to the page, made up from a seed by the evaluation's own arithmetic."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entreg.config import Backbone, Config, Data, Evaluation, Model
from entreg.evaluation.adaptation import ADAPTED, SUBSETS, Adapted, Fit
from entreg.evaluation.adaptation_data import FEWEST_IMAGES
from entreg.evaluation.arms import Arm
from entreg.evaluation.bias_map import BiasMaps
from entreg.evaluation.domain import ENOUGH_FOR_A_KDE, ENOUGH_FOR_AN_INTERVAL
from entreg.evaluation.evidence import Evidence
from entreg.evaluation.summary import summarise
from entreg.losses import nll_entropy
from entreg.model.log_density import LogDensity
from entreg.report.page import Content
from entreg.report.panels import Prediction
from entreg.results.schema import EvaluatedData, ImageCounts, LeftOut, Plan, RowCounts
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun

METRICS = {  # a typical value of each
    "ig_bits_per_fixation": 1.2,
    "ig_kde_bits_per_fixation": 0.8,
    "ll_bits_per_fixation": 1.5,
    "kl_bits": 9.0,
    "kl_gaussian_prior_bits": 10.2,
    "kl_kde_prior_bits": 9.8,
    "nss": 2.0,
    "auc": 0.8,
    "sauc": 0.7,
    "cc": 0.6,
    "sim": 0.5,
    "gold_ig_bits_per_fixation": 1.9,
}
FOREIGN_METRICS = {"ig_own_center_bias_bits_per_fixation": 1.3, "ig_uniform_center_bias_bits_per_fixation": 1.0}
REFERENCES = ("kl_gaussian_prior_bits", "kl_kde_prior_bits", "gold_ig_bits_per_fixation")  # no model's
FOREIGN = ("elsewhere", "beyond")  # names of the foreign sets
BROUGHT = {"centre_bias": 0.3, "scale": 0.2, "spread": 0.1}  # bit that adapting brings the baseline
SIZE = (36, 48)
TOO_LATE = "evaluation.primary was typed for this evaluation, after the runs were trained"


def findings(
    folder: Path,
    lambdas: tuple[float, ...] = (0.0, 1.0),
    seeds: int = 4,
    foreign: int = 1,
    images: int = 24,
    gain: float = 0.05,
    parts: Mapping[str, float] | None = None,
    falling: tuple[str, ...] = (),
    seed_std: float = 0.02,
    primary: str | None = "ood",
    added: int = 0,
    seen: Mapping[str, str] | None = None,
    categories: bool = False,
    labels: tuple[str, ...] = ("best", "median", "worst"),
    metric: str = "ig_bits_per_fixation",
    accepted: tuple[str, ...] = (),
    synthetic: tuple[str, ...] = (),
    weights: str | None = "IMAGENET1K_V1",
) -> Content:
    """What a page shows of an arm for each lambda (0 is the baseline), each better than the one before by `gain` bit.

    gain: is made of `parts` by adapted number, and of a rest; falling: metrics that fall by it while IG rises
    seed_std: bit, by which an arm's trainings scatter around it
    foreign: how many sets, of which `added` were not planned; in the last one `seen` images are left out
    accepted: what was implausible about each set; synthetic: names of the sets that nobody saw
    weights: those of the backbone
    primary: domain of the primary outcome, whose arm is that of lambda 1; None: all is exploratory; metric: its key
    """
    rng = np.random.default_rng(1)
    arms = [_arm(rng, folder, rank, value, seeds, len(lambdas) > 2, weights) for rank, value in enumerate(lambdas)]
    sets = FOREIGN[:foreign]
    domains = {"in_domain": images} | {f"ood.{name}": images + 3 for name in sets}
    easy = {domain: rng.normal(0, 0.4, n) for domain, n in domains.items()}
    liked = {(arm.name, domain): rng.normal(0, 0.03, n) for arm in arms for domain, n in domains.items()}
    effects = {arm.name: seed_std * _scattered(rng, seeds) for arm in arms}
    rows = {
        arm.name: {
            domain: [
                _rows(rng, easy[domain], gain * rank + effect + liked[arm.name, domain], domain, falling, categories)
                for effect in effects[arm.name]
            ]
            for domain in domains
        }
        for rank, arm in enumerate(arms)
    }
    maps = {arm.name: [_bias_maps(rng, 0.3 / (1 + rank)) for _ in range(seeds)] for rank, arm in enumerate(arms)}
    biases = {name: trainings[0][SIZE].with_center_bias.grid[0].numpy() for name, trainings in maps.items()}
    few = {domain: n < FEWEST_IMAGES for domain, n in domains.items()}
    evidence = {
        arm.name: Evidence(
            rows[arm.name],
            [images],
            maps[arm.name],
            {
                domain: [_adapted(rng, table, rank, parts or {}) for table in tables]
                for domain, tables in rows[arm.name].items()
                if domain != "in_domain" and not few[domain]
            },
            {f"ood.{name}": [0.5 - 0.1 * rank] * seeds for name in sets},
        )
        for rank, arm in enumerate(arms)
    }
    names = {domain: domain.rpartition(".")[2].replace("in_domain", "made_up") for domain in domains}
    data = {
        domain: EvaluatedData(
            names[domain],
            n,
            90 * n,
            20 * n,
            {"bandwidth": 0.04, "weights": [0.7, 0.2, 0.1]},
            dict(seen or {}) if domain == list(domains)[-1] else {},
            f"{n} images are too few to adapt a model to the set (at least {FEWEST_IMAGES})"
            if few[domain] and domain != "in_domain"
            else None,
            "stretched to 48x36 (portraits 36x48)",
            few_images=n < ENOUGH_FOR_AN_INTERVAL,
            few_kde_images=20 * n < ENOUGH_FOR_A_KDE,
            rows=RowCounts(
                2100 * n, 1800 * n, {"first of a trial": 290 * n, "outside the image": 10 * n}, list(accepted)
            ),
            synthetic=names[domain] in synthetic,
            images=ImageCounts(10 * n + 2, 2, 10 * n, 9 * n if domain == "in_domain" else 0),
        )
        for domain, n in domains.items()
    }
    keys = sorted({key for arm in arms for key in arm.settings})
    left_out = [LeftOut("multirun/made-up/7", "unfinished", None)]
    plan = _plan(arms, primary, metric, sets, added)
    return Content(
        results=summarise(arms, keys, evidence, data, left_out, plan, Evaluation()),
        per_image=[
            {"arm": arm, "seed": seed, "domain": domain} | row
            for arm, by_domain in rows.items()
            for domain, tables in by_domain.items()
            for seed, table in enumerate(tables)
            for row in table
        ],
        histories={arm.name: [run.state["history"] for run in arm.runs] for arm in arms},
        bias_maps=biases,
        mean_densities={f"ood.{name}": {"fixations": _log_density(rng, 0.5).grid[0].numpy()} | biases for name in sets},
        examples={domain: [(label, _predictions(rng, arms)) for label in labels] for domain in domains},
        looks={},
        provenance={"git_commit": "0123456789abcdef", "git_clean": True, "packages": {"numpy": "2"}, "cuda": None},
    )


def _arm(
    rng: np.random.Generator, folder: Path, rank: int, value: float, seeds: int, named: bool, weights: str | None
) -> Arm:
    expected = Evaluation(ig_band_bits=[0.5, 2.0], ig_band_data="made_up", ig_band_source="made up")
    runs = []
    for seed in range(seeds):
        place = RunFolder(folder / f"{value:g}_{seed}")
        place.typed.parent.mkdir(parents=True)
        place.typed.write_text(f"- loss.lambda_entropy={value:g}\n- seed={seed}\n")
        place.provenance.write_text(json.dumps([{"git_commit": "fedcba9876543210", "git_clean": False}]))
        loss = nll_entropy.Settings(lambda_entropy=value)
        model = Model(backbone=Backbone(weights=weights))
        config = Config(
            model=model, data=Data(name="made_up"), loss=loss, evaluation=expected, seed=seed, study="made-up"
        )
        runs.append(FinishedRun(place, config, {"history": _history(rng, rank)}))
    name = ("nll_entropy" + f"_lambda{value:g}" * named) if value else "nll"
    settings = {"loss.name": "nll_entropy" if value else "nll"}
    return Arm(name, tuple(runs), settings | ({"loss.lambda_entropy": value or None} if named else {}))


def _plan(arms: list[Arm], primary: str | None, metric: str, sets: tuple[str, ...], added: int) -> Plan:
    meant = [arm.name for arm in arms if arm.runs[0].config.loss.lambda_entropy == 1.0]
    has_baseline = any(arm.is_baseline for arm in arms)
    if primary is None or not meant or not has_baseline or primary == "ood" and not sets:
        return Plan(None, primary or "ood", metric, list(sets), [], TOO_LATE)
    planned = list(sets[: len(sets) - added])
    return Plan(meant[0], primary, metric, planned, list(sets[len(planned) :]), None)


def _scattered(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) numbers of mean 0, so that arms differ by what is asked for."""
    drawn = rng.normal(0, 1, n)
    return drawn - drawn.mean()


def _rows(
    rng: np.random.Generator, easy: np.ndarray, by: np.ndarray, domain: str, falling: tuple[str, ...], categories: bool
) -> list[dict[str, Any]]:
    """A row for each image; `by` bit better than is typical of it, and noise."""
    metrics = METRICS | (FOREIGN_METRICS if domain != "in_domain" else {})
    signs = {name: 0 if name in REFERENCES else -1 if name in (*falling, "kl_bits") else 1 for name in metrics}
    return [
        {"image": f"{domain}_{i}.png", "category": ("Art", "Social.1")[i % 2] if categories else None, "fixations": 90}
        | {
            name: float(value + shift + signs[name] * better + rng.normal(0, 0.02) * abs(signs[name]))
            for name, value in metrics.items()
        }
        for i, (shift, better) in enumerate(zip(easy, by, strict=True))
    ]


def _adapted(rng: np.random.Generator, table: list[dict[str, Any]], rank: int, parts: Mapping[str, float]) -> Adapted:
    """What adapting brings falls with the rank by the number's part of the gain: what the arm does not lack."""
    ig = np.array([row["ig_bits_per_fixation"] for row in table])
    brought = {name: BROUGHT[name] - rank * parts.get(name, 0.0) + rng.normal(0, 0.005, len(ig)) for name in ADAPTED}
    fits = {subset: [Fit(0.7 + 0.1 * (fold == 0), 0.9, 8.0) for fold in range(5)] for subset in SUBSETS}
    fits[ADAPTED][0] = Fit(0.0, 0.8, 0.05)  # this fold's fit ended where the search ends
    gains = {subset: ig + sum((brought[name] for name in subset), np.zeros(len(ig))) for subset in SUBSETS}
    return Adapted(gains, fits, Fit(1.0, 0.9, 8.0), 0.05, 18.0)


def _log_density(rng: np.random.Generator, spread: float, size: tuple[int, int] = SIZE) -> LogDensity:
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    grid = torch.from_numpy(-spread * 4 * (x**2 + y**2) + rng.normal(0, 0.05, size))[None]
    return LogDensity.normalised(grid, *(torch.ones(n, dtype=torch.long) for n in size))


def _bias_maps(rng: np.random.Generator, spread: float) -> dict[tuple[int, int], BiasMaps]:
    """Of one training, the landscape first."""
    return {
        size: BiasMaps(*(_log_density(rng, factor * spread * rng.uniform(0.9, 1.1), size) for factor in (1, 0.5)))
        for size in (SIZE, SIZE[::-1])
    }


def _history(rng: np.random.Generator, rank: int) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "lr": 0.001 * 0.5**epoch,
            "train_nll_nats": 11 + math.exp(-epoch) + rng.normal(0, 0.01),
            "validation_nll_nats": 11.1 + math.exp(-epoch) + rng.normal(0, 0.01),
            "validation_ig_bits_per_fixation": 1.2 - math.exp(-epoch) + 0.02 * rank,
            "bias_entropy_nats": 7 + 0.05 * rank + 0.01 * epoch,
            "center_bias_weight": 0.9,
            "sigma_px": 8.0,
        }
        for epoch in range(1, 6)
    ]


def _predictions(rng: np.random.Generator, arms: list[Arm]) -> dict[str, Prediction]:
    image = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    y, x = (rng.integers(0, n, 9) for n in SIZE)
    predictions = {}
    for arm in arms:
        title = f"{arm.name}: 1.20 bit/fixation"
        predictions[arm.name] = Prediction("a, b.png", title, image, _log_density(rng, 1).grid[0].numpy(), y, x)
    return predictions
