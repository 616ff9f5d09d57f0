"""What models are worth on the images of a domain, image by image: every metric of `metrics.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from entreg.evaluate.domain import Domain
from entreg.evaluate.metrics import scores_of
from entreg.evaluate.scored_image import OnMap, ScoredImage
from entreg.features.grid import Grid
from entreg.model import mixture
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
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
        each = [
            component.finalizer(readout, given, grid)
            for component, readout in zip(_components(model), found, strict=True)
        ]
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
    models: Sequence[tuple[DeepGaze3 | Mixture, Part]],
    domain: Domain,
    *,
    step: int | None = None,
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
                number_and_readouts: tuple[int, list[Tensor]],
                grid: Grid = batch.grid,
                on_map: OnMap = on_map,
                given: list[Tensor] = given,
                others: dict[str, Tensor] = others,
            ) -> tuple[LogDensity, Row]:
                number, of_components = number_and_readouts
                with torch.no_grad():
                    density, *rest = _densities(models[number][0], of_components, grid, given)
                image = ScoredImage(on_map, density, dict(zip(others, rest, strict=True)))
                return density, _row(image)

            work = [*zip(numbers, found, strict=True)]
            for number, (density, row) in zip(numbers, in_threads(judge, work), strict=True):
                tables[number][i] = row
                sums[number][truth.size] = _added(sums[number].get(truth.size), density)
        tell()
    return [
        Scored(rows, {size: _normalised(one) for size, one in densities.items()})
        for rows, densities in zip(tables, sums, strict=True)
    ]


def _row(image: ScoredImage) -> Row:
    truth = image.truth
    return {"image": truth.name, "category": truth.category, "fixations": len(truth.y), **scores_of(image)}


def averaged(tables: Sequence[Rows]) -> Rows:
    """The mean over models of each image's scores."""
    if len(tables) == 1:
        return tables[0]
    return [
        {
            key: float(np.mean([row[key] for row in rows])) if isinstance(value, float) else value
            for key, value in rows[0].items()
        }
        for rows in zip(*tables, strict=True)
    ]


@one_thread()
def _added(total: LogDensity | None, density: LogDensity) -> LogDensity:
    """The sum of two densities, as logarithms."""
    return density if total is None else replace(total, grid=torch.logaddexp(total.grid, density.grid))


def _normalised(density: LogDensity) -> LogDensity:
    return LogDensity.normalised(density.grid, density.rows, density.columns)
