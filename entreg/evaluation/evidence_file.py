"""What the numbers of an evaluation are computed from, for a reader who computes them again (docs/recompute.py)."""

from __future__ import annotations

from typing import Any

import numpy as np

from entreg.evaluation.bias_map import BiasMaps
from entreg.evaluation.evaluator import Evaluator
from entreg.model.log_density import LogDensity


def arrays_of(evaluator: Evaluator) -> dict[str, np.ndarray]:
    """Return arrays by name; R is the number of a run in `runs`, DOMAIN `in_domain` or `ood.NAME`, all in nats.

    at/DOMAIN/R                   (n,) log density at the fixations, image after image in the order of per_image.csv
    gaussian/DOMAIN/R, kde/...    (n,) the priors there; those of a run with the same priors as an earlier one are at
                                  the number in `priors/DOMAIN`, (n_runs,)
    map/DOMAIN/R/I/...            the map of image I: see below; y, x: the pixels of its fixations
    bias/R/with, bias/R/without   the bias maps at the landscape size, with and without the centre bias as input
    .../grid, rows, columns       (h, w) log density of a pixel of each cell; (h,), (w,) the pixels that a cell is high
                                  and wide
    """
    arms = evaluator.runs.every_arm
    runs = [(arm.name, i, run) for arm in arms for i, run in enumerate(arm.runs)]
    saved: dict[str, Any] = {"runs": np.array([str(run.folder) for _, _, run in runs])}
    for name in evaluator.runs.every_domain:
        first: dict[int, int] = {}
        priors = []
        of_arm = {arm.name: iter(evaluator.scored[arm.name][name]) for arm in arms}
        for number, (arm, _, run) in enumerate(runs):
            if not evaluator.runs.judging([run], name):
                priors.append(number)
                continue
            domain, scored = evaluator.runs.domain(run, name), next(of_arm[arm])
            saved[f"at/{name}/{number}"] = np.concatenate(scored.at)
            priors.append(first.setdefault(id(domain), number))
            if priors[-1] == number:
                saved[f"gaussian/{name}/{number}"] = np.concatenate(domain.log_gaussian)
                saved[f"kde/{name}/{number}"] = np.concatenate(domain.log_kde)
            for image, density in scored.maps.items():
                y, x = (axis.numpy() for axis in domain.subset.fixations[image])
                key = f"map/{name}/{number}/{image}"
                saved |= _of(density, key) | {f"{key}/y": y, f"{key}/x": x}
        saved[f"priors/{name}"] = np.array(priors)
    of_compared = [(arm.name, i) for arm in evaluator.runs.arms for i in range(len(arm.runs))]
    for number, (arm, i) in enumerate(of_compared):  # they are the first of all runs
        maps: BiasMaps = next(iter(evaluator.bias_maps[arm][i].values()))
        saved |= _of(maps.with_center_bias, f"bias/{number}/with")
        saved |= _of(maps.without_center_bias, f"bias/{number}/without")
    return saved


def _of(density: LogDensity, key: str) -> dict[str, np.ndarray]:
    return {
        f"{key}/grid": density.grid[0].numpy(),
        f"{key}/rows": density.rows.numpy(),
        f"{key}/columns": density.columns.numpy(),
    }
