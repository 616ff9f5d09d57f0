"""Score models on the images of a domain, image by image, with every metric of `metrics.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from entreg.distributed.threads import in_threads, one_thread
from entreg.evaluation.domain import Domain
from entreg.evaluation.metrics import scores_of
from entreg.evaluation.scored_image import OnMap, ScoredImage
from entreg.features.grid import Grid
from entreg.model import mixture
from entreg.model.batched_readout import readouts
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
from entreg.model.mixture import Mixture
from entreg.priors.center_bias import CenterBias
from entreg.study.split import Split
from entreg.units import Size

Model = DeepGaze3 | Mixture
Row = dict[str, Any]  # the scores of one image
Rows = list[Row]
KEPT_MAPS = 5  # of each domain: their numbers can be computed again from the saved maps


@dataclass(frozen=True)
class Scored:
    """The scores of one model on a domain.

    rows: one for each image; at: for each image (n,) nats, float32, the log density at its fixations
    maps: the log densities of some images by their numbers
    mean_density: by size (H, W), the mean density predicted for the images of that size, on the map's grid
    """

    rows: Rows
    at: list[np.ndarray]
    maps: dict[int, LogDensity]
    mean_density: dict[Size, LogDensity]


def score(
    models: Sequence[tuple[Model, Split]],
    domain: Domain,
    *,
    step: int | None = None,
    after_image: Callable[[], object] = lambda: None,
) -> list[Scored]:
    """Score every model on every image. What does not depend on the model is computed once for all of them.

    models: each with the split from which it reads the domain's images
    step: where given, IG is also computed with other centre biases as the models' input, whose maps hold every step-th
        pixel
    after_image: called after each image
    """
    tables: list[Rows] = [[{}] * len(domain.subset) for _ in models]
    at: list[list[np.ndarray]] = [[np.zeros(0)] * len(domain.subset) for _ in models]
    kept = {*np.linspace(0, len(domain.subset) - 1, KEPT_MAPS).round().astype(int).tolist()}
    maps: list[dict[int, LogDensity]] = [{} for _ in models]
    sums: list[dict[Size, LogDensity]] = [{} for _ in models]
    images = domain.own_center_biases(step) if step is not None else ((i, None) for i in range(len(domain.subset)))
    uniform = CenterBias("uniform", domain.prior, step or 1, None)
    by_split: dict[int, list[int]] = {}  # models that read the images from the same split
    for number, (_, split) in enumerate(models):
        by_split.setdefault(id(split), []).append(number)
    for i, own in images:
        truth = domain.truth(i)
        others = {} if own is None else {"own": torch.from_numpy(own), "uniform": uniform.map(truth.size)}
        for numbers in by_split.values():
            split = models[numbers[0]][1]
            batch = split.batch([i])
            components = [_components(models[number][0]) for number in numbers]
            with torch.no_grad():
                computed = iter(readouts(list(chain(*components)), batch.features, batch.grid, split.precision))
                model_readouts = [[next(computed) for _ in of_model] for of_model in components]
            on_map = OnMap(truth, batch.grid.rows.map_counts, batch.grid.columns.map_counts)
            center_biases = [batch.center_bias[0], *others.values()]

            def score_one(
                number_and_readouts: tuple[int, list[Tensor]],
                grid: Grid = batch.grid,
                on_map: OnMap = on_map,
                center_biases: list[Tensor] = center_biases,
                others: dict[str, Tensor] = others,
            ) -> tuple[LogDensity, np.ndarray, Row]:
                number, component_readouts = number_and_readouts
                with torch.no_grad():
                    density, *rest = _densities(models[number][0], component_readouts, grid, center_biases)
                scored = ScoredImage(on_map, density, dict(zip(others, rest, strict=True)))
                return density, scored.at.astype(np.float32), _row(scored)

            work = [*zip(numbers, model_readouts, strict=True)]
            for number, (density, at_fixations, row) in zip(numbers, in_threads(score_one, work), strict=True):
                tables[number][i], at[number][i] = row, at_fixations
                if i in kept:
                    maps[number][i] = density
                sums[number][truth.size] = _added(sums[number].get(truth.size), density)
        after_image()
    return [
        Scored(rows, of_model, of_images, {size: _normalised(total) for size, total in by_size.items()})
        for rows, of_model, of_images, by_size in zip(tables, at, maps, sums, strict=True)
    ]


@torch.no_grad()
def predict(model: Model, split: Split, i: int) -> LogDensity:
    """Return the log density that the model predicts for image i, on the CPU."""
    batch = split.batch([i])
    component_readouts = readouts(_components(model), batch.features, batch.grid, split.precision)
    return _densities(model, component_readouts, batch.grid, [batch.center_bias[0]])[0]


def averaged(tables: Sequence[Rows]) -> Rows:
    """Return the mean over models of each image's scores."""
    if len(tables) == 1:
        return tables[0]
    return [
        {
            key: float(np.mean([row[key] for row in rows])) if isinstance(value, float) else value
            for key, value in rows[0].items()
        }
        for rows in zip(*tables, strict=True)
    ]


def _components(model: Model) -> list[DeepGaze3]:
    return [model] if isinstance(model, DeepGaze3) else model.each


def _densities(
    model: Model, component_readouts: Sequence[Tensor], grid: Grid, center_biases: Sequence[Tensor]
) -> list[LogDensity]:
    """Return the densities of one image for each of the centre biases, on the CPU.

    component_readouts: (1, cells, 1) for each component of the model
    """
    densities = []
    for center_bias in center_biases:
        given = center_bias.to(component_readouts[0].device)[None]
        each = [
            component.finalizer(readout, given, grid)
            for component, readout in zip(_components(model), component_readouts, strict=True)
        ]
        density = mixture.averaged(each) if len(each) > 1 else each[0]
        densities.append(LogDensity(density.grid.cpu(), density.rows.cpu(), density.columns.cpu()))
    return densities


def _row(image: ScoredImage) -> Row:
    truth = image.truth
    return {"image": truth.name, "category": truth.category, "fixations": len(truth.y), **scores_of(image)}


@one_thread()
def _added(total: LogDensity | None, density: LogDensity) -> LogDensity:
    """Return the sum of two densities, whose logarithms are stored."""
    return density if total is None else replace(total, grid=torch.logaddexp(total.grid, density.grid))


def _normalised(density: LogDensity) -> LogDensity:
    return LogDensity.normalised(density.grid, density.rows, density.columns)
