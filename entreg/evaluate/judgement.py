"""What one run's model is worth: image by image, and its bias map."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from entreg.engine.study import Study, UniformPart
from entreg.evaluate import metrics
from entreg.evaluate.domain import Domain
from entreg.evaluate.runs import Run
from entreg.model.center_bias import CenterBias
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity, cell_of_pixel


def model_of(run: Run, study: Study) -> DeepGaze3:
    """The run's final model."""
    model = DeepGaze3(study.recipe.backbone.channels(), run.config.model.sigma_px, run.config.seed)
    model.load_state_dict(run.state["model"])
    return model.to(study.ranks.device).eval()


@torch.no_grad()
def predict(model: DeepGaze3, domain: Domain, i: int, center_bias: Tensor | None = None) -> LogDensity:
    """The log density of image i of a domain, on the CPU; center_bias: (m_y, m_x) in place of the training data's."""
    batch = domain.part.batch([i])
    given = batch.center_bias if center_bias is None else center_bias[None].to(batch.center_bias.device)
    density = model(batch.features, given, batch.grid, domain.part.store.recipe.precision)
    return LogDensity(*(t.cpu() for t in (density.grid, density.rows, density.columns)))


def per_image(model: DeepGaze3, domain: Domain) -> list[dict[str, Any]]:
    """A row an image: every metric of evaluate/metrics.py, means over the image's fixations."""
    return [_judge(domain, i, predict(model, domain, i)) for i in range(len(domain.part))]


def _judge(domain: Domain, i: int, density: LogDensity) -> dict[str, Any]:
    stimulus = domain.part.resized.dataset.stimuli[domain.part.items[i]]
    y, x = domain.part.fixations[i]
    height, width = domain.part.sizes[i]
    at = density.at(torch.zeros_like(y), y, x).double().numpy()
    grid = density.grid[0].double().numpy()
    pixels = (density.rows[:, None] * density.columns).numpy()
    rows, columns = cell_of_pixel(density.rows).numpy(), cell_of_pixel(density.columns).numpy()
    other_y, other_x = domain.elsewhere(i)
    full = np.exp(density.full()[0].double().numpy())
    blurred = domain.blurred(i)
    row = {
        "image": stimulus.name,
        "category": stimulus.category,
        "fixations": len(y),
        "ig_bits_per_fixation": metrics.ig_bits(at, domain.log_gaussian[i]).mean(),
        "ig_kde_bits_per_fixation": metrics.ig_bits(at, domain.log_kde[i]).mean(),
        "ll_bits_per_fixation": metrics.ll_bits(at, height, width).mean(),
        "kl_bits": metrics.kl_bits(at, y.numpy(), x.numpy()),
        "kl_gaussian_prior_bits": metrics.kl_bits(domain.log_gaussian[i], y.numpy(), x.numpy()),
        "kl_kde_prior_bits": metrics.kl_bits(domain.log_kde[i], y.numpy(), x.numpy()),
        "nss": metrics.nss(at, grid, pixels).mean(),
        "auc": metrics.auc(at, grid, pixels).mean(),
        "sauc": metrics.auc(at, grid[rows[other_y], columns[other_x]]).mean(),
        "cc": metrics.cc(full, blurred),
        "sim": metrics.sim(full, blurred),
    }
    for name, reference in (("gold", domain.gold_per_image), ("oracle", domain.oracle_per_image)):
        if reference is not None:
            row[f"{name}_ig_bits_per_fixation"] = metrics.ig_bits(reference[i], domain.log_gaussian[i]).mean()
            row[f"{name}_ig_kde_bits_per_fixation"] = metrics.ig_bits(reference[i], domain.log_kde[i]).mean()
    return {key: float(value) if isinstance(value, np.floating) else value for key, value in row.items()}


def by_center_bias(model: DeepGaze3, domain: Domain) -> list[dict[str, float]]:
    """A row an image: IG over the Gaussian prior (bit/fixation) with other centre biases as the model's input.

    `own`: the KDE of this data set's fixations (the image's own left out): what knowing its bias would buy;
    `uniform`: none. With what the model was trained with, `per_image` tells.
    """
    step = domain.config.model.saliency_map_factor
    uniform = CenterBias("uniform", domain.config.prior, step, None)
    found: list[dict[str, float]] = [{} for _ in range(len(domain.part))]
    for size in sorted(set(domain.part.sizes)):
        same = [i for i, s in enumerate(domain.part.sizes) if s == size]
        own = domain.kde.leave_one_out([domain.part.items[i] for i in same], *size, step=step)
        for i, center_bias in zip(same, own):
            found[i] = {
                "ig_own_center_bias_bits_per_fixation": _ig(model, domain, i, torch.from_numpy(center_bias)),
                "ig_uniform_center_bias_bits_per_fixation": _ig(model, domain, i, uniform.map(size)),
            }
    return found


def _ig(model: DeepGaze3, domain: Domain, i: int, center_bias: Tensor) -> float:
    y, x = domain.part.fixations[i]
    at = predict(model, domain, i, center_bias).at(torch.zeros_like(y), y, x).double().numpy()
    return float(metrics.ig_bits(at, domain.log_gaussian[i]).mean())


@dataclass(frozen=True)
class Bias:
    """The averaged bias map of the uniform images at one size, with and without the centre bias as input."""

    with_center_bias: LogDensity
    without_center_bias: LogDensity


@torch.no_grad()
def bias_of(model: DeepGaze3, uniform: UniformPart) -> Bias:
    """What the model predicts for uniform images: mean density (not mean log density) over them."""
    features, center_bias, grid = uniform.inputs(range(len(uniform)))
    flat = torch.full_like(center_bias, -math.log(uniform.size[0] * uniform.size[1]))
    precision = uniform.store.recipe.precision
    densities = [model(features, given, grid, precision).mean() for given in (center_bias, flat)]
    return Bias(*(LogDensity(d.grid.cpu(), d.rows.cpu(), d.columns.cpu()) for d in densities))


def bias_row(bias: Bias) -> dict[str, Any]:
    """Entropies and deficits to uniform of both bias maps, in nats and bits."""
    row = {}
    for name, density in (("", bias.with_center_bias), ("_without_center_bias", bias.without_center_bias)):
        height, width = density.size
        entropy = float(density.entropy_nats())
        deficit = math.log(height * width) - entropy
        row |= {
            f"bias_entropy{name}_nats": entropy,
            f"bias_entropy{name}_deficit_nats": deficit,
            f"bias_entropy{name}_deficit_bits": deficit * metrics.BITS_PER_NAT,
        }
    return row


def stability(run: Run) -> dict[str, Any]:
    """Whether training went well, from its history: diverged, and how far the last validation loss is from the best."""
    history = run.state["history"]
    first, last = history[0], history[-1]
    best = min(row["validation_nll_nats"] for row in history)
    return {
        "epochs": len(history),
        "diverged": any(last[key] > first[key] for key in ("train_nll_nats", "validation_nll_nats")),
        "final_validation_nll_nats": last["validation_nll_nats"],
        "best_validation_nll_nats": best,
        "last_minus_best_nats": last["validation_nll_nats"] - best,
    }
