"""The differences of the fast path from the published computation, and the error of storing in half precision."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from benchmarks.generated import CPU, FIXATIONS, LANDSCAPE, Pictures, gazes, recipe
from benchmarks.golden import gradient, relative
from benchmarks.plain import PlainStep
from entreg.features.recipe import Recipe
from entreg.losses.nll import fixation_weights, nll_nats
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity


class Inputs:
    """A few images with fixations and centre bias, as the published model takes them."""

    def __init__(self, pictures: Pictures) -> None:
        self.rgb = [pictures.read(i) for i in range(len(pictures.paths))]
        self.images = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in self.rgb]).float()
        rows, columns = torch.linspace(-1, 1, 768)[:, None], torch.linspace(-1, 1, 1024)
        bias = -2 * (rows.square() + columns.square())
        self.center_bias = (bias - bias.logsumexp((0, 1))).expand(len(self.rgb), -1, -1)
        points = [gazes(LANDSCAPE, FIXATIONS, i) for i in range(len(self.rgb))]
        self.fixations = [(torch.from_numpy(y).long(), torch.from_numpy(x).long()) for y, x in points]


def against_plain(inputs: Inputs, plain: PlainStep) -> dict[str, float]:
    """Return the greatest differences of the log density and the gradients from the published computation.

    Those of gradients are relative to the greatest gradient of each parameter.
    """
    model = DeepGaze3(2560, 8.0, 0)
    model.load_state_dict({name: p.detach() for name, p in plain.parameters.items()})
    exact = recipe(torch.float32)
    density = _density(model, exact, _rows(exact, inputs), inputs)
    torch.autograd.backward(_nll(density, inputs).sum())
    expected = plain.gradients(inputs.images, inputs.center_bias, inputs.fixations)
    return {
        "log_density_max_abs_diff_nats": float((density.full().detach() - expected).abs().max()),
        "gradient_max_rel_diff": max(
            relative(gradient(p), gradient(plain.parameters[n])) for n, p in model.named_parameters()
        ),
    }


def of_the_stored_precision(inputs: Inputs) -> dict[str, float]:
    """Return the mean absolute change per image, by a float16 store, of a trained model's IG (bit/fixation).

    The model is evaluated on float32 features, from the backbone's direct algorithm, and on float16 features, from its
    fastest one as in a store. It is trained on half of the images and evaluated on the other half. The prior is
    subtracted from both and cancels.
    """
    exact_recipe = recipe(torch.float32)
    exact, stored = _rows(exact_recipe, inputs), _rows(recipe(), inputs).float()
    model, half = DeepGaze3(2560, 8.0, 0), len(exact) // 2
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001585)
    training, evaluated = slice(0, half), slice(half, None)
    for _ in range(50):
        optimizer.zero_grad()
        torch.autograd.backward(_nll(_density(model, exact_recipe, exact, inputs, training), inputs, training).sum())
        optimizer.step()
    with torch.no_grad():
        densities = [_density(model, exact_recipe, rows, inputs, evaluated) for rows in (exact, stored)]
        nats = [_nll(density, inputs, evaluated) for density in densities]
    # each image's share of the mean, so that the sum is the mean of the changes
    return {"store_precision_ig_diff_bits": float((nats[0] - nats[1]).abs().sum()) / math.log(2)}


def _rows(recipe: Recipe, inputs: Inputs) -> Tensor:
    return torch.stack([recipe.row(image, CPU) for image in inputs.rgb])


def _density(
    model: DeepGaze3, recipe: Recipe, features: Tensor, inputs: Inputs, part: slice = slice(None)
) -> LogDensity:
    grid = recipe.grid(LANDSCAPE)
    small = inputs.center_bias[part][:, grid.rows.center_bias[:, None], grid.columns.center_bias]
    density: LogDensity = model(features[part], small, grid)
    return density


def _nll(density: LogDensity, inputs: Inputs, part: slice = slice(None)) -> Tensor:
    fixations = inputs.fixations[part]
    counts = torch.tensor([float(len(y)) for y, _ in fixations])
    image = torch.from_numpy(np.repeat(np.arange(len(fixations)), counts.int().numpy()))
    y, x = (torch.cat(axis) for axis in zip(*fixations, strict=True))
    return nll_nats(density, image, y, x, fixation_weights(counts, "images"))
