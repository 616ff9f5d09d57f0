"""What models are worth on the images of a domain, image by image: every metric of `metrics.py`."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from entreg.evaluate import metrics
from entreg.evaluate.domain import Domain, Truth
from entreg.evaluate.runs import Run
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity, cell_of_pixel
from entreg.prior.center_bias import CenterBias
from entreg.study.part import Part
from entreg.study.study import Study

Row = dict[str, Any]  # one image's scores
Rows = list[Row]


@dataclass(frozen=True)
class Judged:
    """A run's final model with the study that it reads its images from."""

    run: Run
    study: Study
    model: DeepGaze3


def judged(run: Run, study: Study) -> Judged:
    """The run with its final model."""
    model = DeepGaze3(study.recipe.channels, run.config.model.sigma_px, run.config.seed)
    model.load_state_dict(run.state["model"])
    return Judged(run, study, model.to(study.ranks.device).eval())


@torch.no_grad()
def predict(model: DeepGaze3, part: Part, i: int, center_bias: Tensor | None = None) -> LogDensity:
    """The log density of image i, on the CPU; center_bias: (m_y, m_x) in place of the training data's."""
    batch = part.batch([i])
    given = batch.center_bias if center_bias is None else center_bias[None].to(batch.center_bias.device)
    density = model(batch.features, given, batch.grid, part.precision)
    return LogDensity(*(t.cpu() for t in (density.grid, density.rows, density.columns)))


def score(
    models: Sequence[tuple[DeepGaze3, Part]], domain: Domain, *, step: int | None = None,
    tell: Callable[[], object] = lambda: None,
) -> list[Rows]:
    """For each model a row for each image. What does not depend on the model is computed once for all of them.

    models: with the part from which each reads the domain's images
    step: also tells IG with other centre biases as the models' input, whose maps hold every step-th pixel; None: not
    tell: called after each image
    """
    found: list[list[Row]] = [[{}] * len(domain.subset) for _ in models]
    images = domain.own_center_biases(step) if step is not None else ((i, None) for i in range(len(domain.subset)))
    uniform = CenterBias("uniform", domain.prior, step or 1, None)
    for i, own in images:
        truth = domain.truth(i)
        for rows, (model, part) in zip(found, models, strict=True):
            rows[i] = _row(truth, predict(model, part, i))
            if own is not None:
                for kind, center_bias in (("own", torch.from_numpy(own)), ("uniform", uniform.map(truth.size))):
                    density = predict(model, part, i, center_bias)
                    gain = metrics.ig_bits(_at(density, truth), truth.log_gaussian).mean()
                    rows[i][f"ig_{kind}_center_bias_bits_per_fixation"] = float(gain)
        tell()
    return found


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
