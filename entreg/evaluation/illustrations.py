"""The maps and predictions that the page shows of an evaluation."""

from __future__ import annotations

import numpy as np
import torch

from entreg.evaluation import differences, scores
from entreg.evaluation.arms import Arm
from entreg.evaluation.evaluator import Evaluator, most_frequent_size
from entreg.evaluation.metrics import PRIMARY
from entreg.model.log_density import LogDensity
from entreg.report.panels import Prediction
from entreg.results.schema import is_foreign
from entreg.study.look import Look, look_at


def bias_maps(evaluator: Evaluator) -> dict[str, np.ndarray]:
    """Return, by arm, the bias map of the first training with its centre bias as input: (H, W) nats."""
    first = {arm: next(iter(trainings[0].values())) for arm, trainings in evaluator.bias_maps.items()}
    return {arm: maps.with_center_bias.full()[0].numpy() for arm, maps in first.items()}


def mean_densities(evaluator: Evaluator) -> dict[str, dict[str, np.ndarray]]:
    """Return mean densities by foreign domain: (H, W) nats.

    `fixations` is the KDE of the set's fixations; the mean predicted density of each arm follows by the arm's name.
    """
    densities: dict[str, dict[str, np.ndarray]] = {}
    for name, domain in evaluator.runs.domains.items():
        if not is_foreign(name):
            continue
        size = most_frequent_size(domain)
        densities[name] = {"fixations": domain.kde_map(size)}
        for arm in evaluator.runs.arms:
            each = [of_run.mean_density[size] for of_run in evaluator.scored[arm.name][name]]
            grids = torch.stack([density.grid[0] for density in each])
            densities[name][arm.name] = LogDensity(grids, each[0].rows, each[0].columns).mean().full()[0].numpy()
    return densities


def examples(evaluator: Evaluator) -> dict[str, list[tuple[str, dict[str, Prediction]]]]:
    """Return, by domain, what every arm predicts for the best, the median and the worst image.

    These are the images by the mean IG of the first arm; for a cross-validation they are those of the first fold in
    domain.
    """
    by_domain: dict[str, list[tuple[str, dict[str, Prediction]]]] = {}
    first, *_ = evaluator.runs.arms
    for name in evaluator.runs.domains:
        of_first = evaluator.scored[first.name][name]
        scored = of_first if is_foreign(name) else of_first[:: len(of_first) // max(len(first.replicates), 1)]
        ig = differences.values_of([of_run.rows for of_run in scored], PRIMARY).mean(0)
        order = np.argsort(-ig, kind="stable")
        for label, i in (("best", order[0]), ("median", order[len(order) // 2]), ("worst", order[-1])):
            predictions = {arm.name: _prediction(evaluator, arm, name, int(i)) for arm in evaluator.runs.arms}
            by_domain.setdefault(name, []).append((label, predictions))
    return by_domain


def looks(evaluator: Evaluator) -> dict[str, Look]:
    """Return, by domain, what its data set looks like, as task=preview shows it."""
    seed = evaluator.runs.arms[0].runs[0].config.seed
    return {
        name: look_at(domain.subset.resized.dataset, domain.settings, domain.prior, seed)
        for name, domain in evaluator.runs.domains.items()
    }


def _prediction(evaluator: Evaluator, arm: Arm, domain: str, i: int) -> Prediction:
    """Return what the first run of an arm that is judged in a domain predicts for image i there."""
    loaded = evaluator.loaded_in(arm, domain)[0]
    split = evaluator.runs.split(loaded, domain)
    density = scores.predict(loaded.model_in(domain), split, i)
    y, x = (axis.numpy() for axis in split.fixations[i])
    ig = evaluator.scored[arm.name][domain][0].rows[i][PRIMARY]
    title = f"{arm.name}: {ig:.2f} bit/fixation".replace(": -", ": −")
    return Prediction(split.names[i], title, split.read(i), density.full()[0].numpy(), y, x)
