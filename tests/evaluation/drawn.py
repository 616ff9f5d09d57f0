"""Foreign sets whose truth is known: fixations drawn from what a model predicts after it was changed in a known way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from entreg.config import Data, Prior
from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.data.geometry import Geometry, resize
from entreg.evaluation.domain import Domain
from entreg.features.grid import grid_of
from entreg.model.finalizer import Finalizer
from entreg.study.split import ImageSubset

SIZE = (144, 192)
GRID = grid_of(SIZE, ((18, 24),), 2, 4, 4)
CELLS = len(GRID.rows.counts), len(GRID.columns.counts)


class Model:
    """A model whose readout is known: (n, rows, columns) of cells, by image."""

    def __init__(self, readouts: torch.Tensor, sigma_px: float = 2.0, weight: float = 1.0) -> None:
        self.readouts, self.finalizer = readouts, Finalizer(sigma_px)
        self.finalizer.center_bias_weight.data.fill_(weight)

    def readout(self, members, grid, precision):
        return self.readouts[members].flatten(1)[..., None]


class Split:
    """As an adaptation reads one: the images' numbers in place of their features."""

    def __init__(self, center_bias: torch.Tensor, images: int) -> None:
        self.center_biases = [center_bias] * images
        self.store = SimpleNamespace(recipe=SimpleNamespace(grid=lambda size: GRID))
        self.precision = torch.float32

    def batch(self, numbers):
        return SimpleNamespace(features=numbers, grid=GRID)


def readouts(images: int, seed: int, spread: float = 2.0) -> torch.Tensor:
    """Independent of the place, so that on average over images nothing but the centre bias is left."""
    return spread * torch.randn(images, *CELLS, generator=torch.Generator().manual_seed(seed))


def gaussian(y: float, x: float, sigma: float) -> torch.Tensor:
    """A centre bias (m_y, m_x) nats: a Gaussian around a place, shares of the sides."""
    rows, columns = (torch.linspace(0, 1, n // 4) for n in SIZE)
    z = -((rows[:, None] - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2)
    return z - z.flatten().logsumexp(0) - np.log(16)


@torch.no_grad()
def log_densities(
    model: Model, center_bias: torch.Tensor, scale: float = 1.0, sigma_px: float | None = None
) -> torch.Tensor:
    """(n, H, W) nats: what the model predicts with its readout scaled, and with another blur."""
    finalizer = Finalizer(float(model.finalizer.gauss.sigma) if sigma_px is None else sigma_px)
    finalizer.center_bias_weight.data.copy_(model.finalizer.center_bias_weight)
    return finalizer(scale * model.readouts, center_bias.expand(len(model.readouts), -1, -1), GRID).full()


def domain(log_density: torch.Tensor, fixations: int, seed: int) -> Domain:
    """A data set with `fixations` on each image, drawn from (n, H, W) nats."""
    rng = np.random.default_rng(seed)
    pixels = []
    for one in log_density:
        p = one.double().exp().flatten().numpy()
        pixels.append(rng.choice(p.size, fixations, p=p / p.sum()))
    y, x = np.unravel_index(np.concatenate(pixels), SIZE)
    image = np.repeat(np.arange(len(log_density)), fixations)
    stimuli = tuple(Stimulus(f"{i:03d}.png", Path(f"{i:03d}.png"), *SIZE) for i in range(len(log_density)))
    dataset = DataSet("drawn", stimuli, Fixations(image, x + 0.5, y + 0.5), {})
    resized = resize(dataset, Geometry("stretch", SIZE[1], SIZE[0]))
    return Domain(ImageSubset(resized, list(range(len(stimuli)))), Data(name="drawn"), Prior())
