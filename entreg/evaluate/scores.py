"""What models are worth on the images of a domain, image by image: every metric of `metrics.py`."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from entreg.evaluate import metrics
from entreg.evaluate.domain import Domain, Truth
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity, cell_of_pixel
from entreg.model.mixture import Mixture
from entreg.prior.center_bias import CenterBias
from entreg.study.finished import Run, final_model
from entreg.study.part import Part, Size
from entreg.study.study import Study

Row = dict[str, Any]  # one image's scores
Rows = list[Row]


@dataclass(frozen=True)
class Judged:
    """A run's final model with the study that it reads its images from."""

    run: Run
    study: Study
    model: DeepGaze3 | Mixture


def judged(run: Run, study: Study) -> Judged:
    """The run with its final model, or the published one. DataError where its parameters do not fit."""
    model = run.fixed.eval() if run.fixed is not None else final_model(run, study.recipe.channels)
    return Judged(run, study, model.to(study.ranks.device))


@torch.no_grad()
def predict(model: DeepGaze3 | Mixture, part: Part, i: int, *others: Tensor) -> list[LogDensity]:
    """Log densities of image i, on the CPU: with the part's centre bias, then with each of the others (m_y, m_x)."""
    # one image alone is cut up among threads and so rounds differently than one of several
    batch = part.batch([i, i])
    given = [batch.center_bias, *(other.to(batch.center_bias.device).expand(2, -1, -1) for other in others)]
    densities = model.predictions(batch.features, given, batch.grid, part.precision)
    return [LogDensity(d.grid[:1].cpu(), d.rows.cpu(), d.columns.cpu()) for d in densities]


@dataclass(frozen=True)
class Scored:
    """What one model is worth on a domain.

    rows: one for each image
    mean_density: by size (H, W), its mean predicted density over the images of that size, on the map's grid
    """

    rows: Rows
    mean_density: dict[Size, LogDensity]


def score(
    models: Sequence[tuple[DeepGaze3 | Mixture, Part]], domain: Domain, *, step: int | None = None,
    tell: Callable[[], object] = lambda: None,
) -> list[Scored]:
    """Every model on every image. What does not depend on the model is computed once for all of them.

    models: with the part from which each reads the domain's images
    step: also tells IG with other centre biases as the models' input, whose maps hold every step-th pixel; None: not
    tell: called after each image
    """
    tables: list[Rows] = [[{}] * len(domain.subset) for _ in models]
    sums: list[dict[Size, LogDensity]] = [{} for _ in models]
    images = domain.own_center_biases(step) if step is not None else ((i, None) for i in range(len(domain.subset)))
    uniform = CenterBias("uniform", domain.prior, step or 1, None)
    for i, own in images:
        truth = domain.truth(i)
        other_inputs = {} if own is None else {"own": torch.from_numpy(own), "uniform": uniform.map(truth.size)}
        for rows, densities, (model, part) in zip(tables, sums, models, strict=True):
            density, *others = predict(model, part, i, *other_inputs.values())
            rows[i] = _row(truth, density)
            densities[truth.size] = _added(densities.get(truth.size), density)
            for kind, other in zip(other_inputs, others, strict=True):
                gain = metrics.ig_bits(_at(other, truth), truth.log_gaussian).mean()
                rows[i][f"ig_{kind}_center_bias_bits_per_fixation"] = float(gain)
        tell()
    return [Scored(rows, {size: _normalised(one) for size, one in densities.items()})
            for rows, densities in zip(tables, sums, strict=True)]


def averaged(tables: Sequence[Rows]) -> Rows:
    """The mean over models of each image's scores."""
    if len(tables) == 1:
        return tables[0]
    return [
        {key: float(np.mean([row[key] for row in rows])) if isinstance(value, float) else value
         for key, value in rows[0].items()}
        for rows in zip(*tables, strict=True)
    ]


def _added(total: LogDensity | None, density: LogDensity) -> LogDensity:
    """The sum of two densities, as logarithms."""
    return density if total is None else replace(total, grid=torch.logaddexp(total.grid, density.grid))


def _normalised(density: LogDensity) -> LogDensity:
    return LogDensity.normalised(density.grid, density.rows, density.columns)


def _at(density: LogDensity, truth: Truth) -> np.ndarray:
    """(n,) nats at the fixations, float64."""
    y, x = torch.from_numpy(truth.y), torch.from_numpy(truth.x)
    return density.at(torch.zeros_like(y), y, x).double().numpy()


def _row(truth: Truth, density: LogDensity) -> Row:
    height, width = truth.size
    at = _at(density, truth)
    grid = density.grid[0].double().numpy()
    pixels = (density.rows[:, None] * density.columns).numpy()
    rows, columns = cell_of_pixel(density.rows).numpy(), cell_of_pixel(density.columns).numpy()
    full = np.exp(density.full()[0].double().numpy())
    row = {
        "image": truth.name,
        "category": truth.category,
        "fixations": len(truth.y),
        "ig_bits_per_fixation": metrics.ig_bits(at, truth.log_gaussian).mean(),
        "ig_kde_bits_per_fixation": metrics.ig_bits(at, truth.log_kde).mean(),
        "ll_bits_per_fixation": metrics.ll_bits(at, height, width).mean(),
        "kl_bits": metrics.kl_bits(at, truth.y, truth.x),
        "kl_gaussian_prior_bits": metrics.kl_bits(truth.log_gaussian, truth.y, truth.x),
        "kl_kde_prior_bits": metrics.kl_bits(truth.log_kde, truth.y, truth.x),
        "nss": metrics.nss(at, grid, pixels).mean(),
        "auc": metrics.auc(at, grid, pixels).mean(),
        "sauc": metrics.auc(at, grid[rows[truth.other_y], columns[truth.other_x]]).mean(),
        "cc": metrics.cc(full, truth.blurred),
        "sim": metrics.sim(full, truth.blurred),
    }
    for name, log_reference in truth.log_references.items():
        row[f"{name}_ig_bits_per_fixation"] = metrics.ig_bits(log_reference, truth.log_gaussian).mean()
        row[f"{name}_ig_kde_bits_per_fixation"] = metrics.ig_bits(log_reference, truth.log_kde).mean()
    return {key: float(value) if isinstance(value, np.floating) else value for key, value in row.items()}
