"""What models are worth on the images of a domain, image by image: every metric of `metrics.py`."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from entreg.evaluate import metrics
from entreg.evaluate.domain import Domain, Truth
from entreg.features.grid import Grid
from entreg.model import mixture
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity, cell_of_pixel
from entreg.model.mixture import Mixture
from entreg.model.readouts import readouts
from entreg.numerics import in_threads, one_thread
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
def predict(model: DeepGaze3 | Mixture, part: Part, i: int) -> LogDensity:
    """Log density of image i, on the CPU."""
    batch = part.batch([i])
    found = readouts(_components(model), batch.features, batch.grid, part.precision)
    return _densities(model, found, batch.grid, [batch.center_bias[0]])[0]


def _components(model: DeepGaze3 | Mixture) -> list[DeepGaze3]:
    return [model] if isinstance(model, DeepGaze3) else model.each


def _densities(
    model: DeepGaze3 | Mixture, found: Sequence[Tensor], grid: Grid, center_biases: Sequence[Tensor]
) -> list[LogDensity]:
    """Of one image, on the CPU, from its components' readouts (1, cells, 1): with each of the centre biases."""
    densities = []
    for one in center_biases:
        given = one.to(found[0].device)[None]
        each = [component.finalizer(readout, given, grid)
                for component, readout in zip(_components(model), found, strict=True)]
        d = mixture.averaged(each) if len(each) > 1 else each[0]
        densities.append(LogDensity(d.grid.cpu(), d.rows.cpu(), d.columns.cpu()))
    return densities


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
    sharing: dict[int, list[int]] = {}  # models that read the images from one part
    for number, (_, part) in enumerate(models):
        sharing.setdefault(id(part), []).append(number)
    for i, own in images:
        truth = domain.truth(i)
        others = {} if own is None else {"own": torch.from_numpy(own), "uniform": uniform.map(truth.size)}
        for numbers in sharing.values():
            part = models[numbers[0]][1]
            batch = part.batch([i])
            members = [_components(models[number][0]) for number in numbers]
            with torch.no_grad():
                computed = iter(readouts(list(chain(*members)), batch.features, batch.grid, part.precision))
                found = [[next(computed) for _ in components] for components in members]
            on_map = OnMap(truth, batch.grid)
            given = [batch.center_bias[0], *others.values()]

            def judge(
                number_and_readouts: tuple[int, list[Tensor]], grid: Grid = batch.grid, on_map: OnMap = on_map,
                given: list[Tensor] = given, truth: Truth = truth, others: dict[str, Tensor] = others,
            ) -> tuple[LogDensity, Row]:
                number, of_components = number_and_readouts
                with torch.no_grad():
                    density, *rest = _densities(models[number][0], of_components, grid, given)
                row = on_map.row(density)
                for kind, other in zip(others, rest, strict=True):
                    gain = metrics.ig_bits(_at(other, truth), truth.log_gaussian).mean()
                    row[f"ig_{kind}_center_bias_bits_per_fixation"] = float(gain)
                return density, row

            work = [*zip(numbers, found, strict=True)]
            for number, (density, row) in zip(numbers, in_threads(judge, work), strict=True):
                tables[number][i] = row
                sums[number][truth.size] = _added(sums[number].get(truth.size), density)
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


@one_thread()
def _added(total: LogDensity | None, density: LogDensity) -> LogDensity:
    """The sum of two densities, as logarithms."""
    return density if total is None else replace(total, grid=torch.logaddexp(total.grid, density.grid))


def _normalised(density: LogDensity) -> LogDensity:
    return LogDensity.normalised(density.grid, density.rows, density.columns)


def _at(density: LogDensity, truth: Truth) -> np.ndarray:
    """(n,) nats at the fixations, float64."""
    y, x = torch.from_numpy(truth.y), torch.from_numpy(truth.x)
    return density.at(torch.zeros_like(y), y, x).double().numpy()


class OnMap:
    """An image's truth on the grid of the models' maps: all that its scores need and that no model changes."""

    def __init__(self, truth: Truth, grid: Grid) -> None:
        self.truth = truth
        self._sides = [axis.map_counts.numpy() for axis in (grid.rows, grid.columns)]
        self._pixels = self._sides[0][:, None] * self._sides[1]
        rows, columns = (cell_of_pixel(axis.map_counts).numpy() for axis in (grid.rows, grid.columns))
        cells = rows[truth.other_y] * self._pixels.shape[1] + columns[truth.other_x]
        self._nonfixations = np.bincount(cells, minlength=self._pixels.size).reshape(self._pixels.shape)
        self._blurred = metrics.Centred(truth.blurred)
        self._known = {
            "kl_gaussian_prior_bits": metrics.kl_bits(truth.log_gaussian, truth.y, truth.x),
            "kl_kde_prior_bits": metrics.kl_bits(truth.log_kde, truth.y, truth.x),
        }
        self._references: dict[str, float] = {}
        for name, log_reference in truth.log_references.items():
            over = {"": truth.log_gaussian, "_kde": truth.log_kde}
            self._references |= {
                f"{name}_ig{prior}_bits_per_fixation": metrics.ig_bits(log_reference, values).mean()
                for prior, values in over.items()
            }

    def row(self, density: LogDensity) -> Row:
        """What the density is worth."""
        truth, (height, width) = self.truth, self.truth.size
        at = _at(density, truth)
        grid = density.grid[0].double().numpy()
        ranked = metrics.Ranked(grid)
        full = np.exp(grid).repeat(self._sides[0], 0).repeat(self._sides[1], 1)
        row = {
            "image": truth.name,
            "category": truth.category,
            "fixations": len(truth.y),
            "ig_bits_per_fixation": metrics.ig_bits(at, truth.log_gaussian).mean(),
            "ig_kde_bits_per_fixation": metrics.ig_bits(at, truth.log_kde).mean(),
            "ll_bits_per_fixation": metrics.ll_bits(at, height, width).mean(),
            "kl_bits": metrics.kl_bits(at, truth.y, truth.x),
            **self._known,
            "nss": metrics.nss(at, grid, self._pixels).mean(),
            "auc": ranked.auc(at, self._pixels).mean(),
            "sauc": ranked.auc(at, self._nonfixations).mean(),
            "cc": metrics.Centred(full).cc(self._blurred),
            "sim": metrics.sim(full, truth.blurred),
            **self._references,
        }
        return {key: float(value) if isinstance(value, np.floating) else value for key, value in row.items()}
