"""What was computed of an arm's models: the input of all results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from entreg.evaluation.adaptation import SUBSETS, Adapted, Quantities
from entreg.evaluation.bias_map import BiasMaps, entropies
from entreg.evaluation.differences import Values, values_of
from entreg.evaluation.scores import Rows
from entreg.results.schema import FOREIGN, IN_DOMAIN, LEFT_OUT, Plan
from entreg.units import Size


@dataclass(frozen=True)
class Evidence:
    """What was computed of an arm's trainings, each of which is one run, or several: a fold or a left-out set for each.

    rows: by domain, a table for each training: in domain it holds the scores of the held-out images, fold by fold; on a
        foreign set it holds the means over folds. Where sets were left out, it holds the means over the runs that are
        judged there: on a set that was left out that is one
    fold_images: how many images of the in-domain tables belong to each fold
    maps: for each run, by seed and then by fold, the bias maps by (H, W), the landscape size first
    by_set_left_out: by the set that was left out, then by domain, the mean IG (bit/fixation) of the runs without it
    adapted, kl_bits: by domain, for each run that is judged there; see `ArmInDomain`
    """

    rows: Mapping[str, Sequence[Rows]]
    fold_images: Sequence[int]
    maps: Sequence[Mapping[Size, BiasMaps]]
    adapted: Mapping[str, Sequence[Adapted]]
    kl_bits: Mapping[str, Sequence[float]]
    by_set_left_out: Mapping[str, dict[str, float]] = field(default_factory=dict)

    def values(self, domains: Sequence[str], key: str) -> Values:
        """Return a metric in a domain, or in the several domains of which the mean is taken."""
        sets = [values_of(self.rows[name], key) for name in domains]
        if len(self.fold_images) > 1 and list(domains) == [IN_DOMAIN]:
            return Values(np.split(sets[0], np.cumsum(self.fold_images)[:-1], axis=1), in_folds=True)
        return Values(sets)

    def by_training(self, values: Sequence[Any]) -> np.ndarray:
        """Return the mean of (n_runs, ...) values over each training's runs: (n_seeds, ...)."""
        array, trainings = np.asarray(values, dtype=np.float64), len(next(iter(self.rows.values())))
        means: np.ndarray = array.reshape(trainings, -1, *array.shape[1:]).mean(1)
        return means

    def means(self, plan: Plan) -> dict[str, list[str]]:
        """Return the domains that are means over the sets of several tables, with the names of these."""
        in_domain = [name for name in self.rows if name.startswith(f"{IN_DOMAIN}.")]
        left_out = [name for name in self.rows if name.startswith(f"{LEFT_OUT}.")]
        planned = [f"{FOREIGN}.{name}" for name in plan.planned if f"{FOREIGN}.{name}" in self.rows]
        return {
            name: tables
            for name, tables in ((IN_DOMAIN, in_domain), (LEFT_OUT, left_out), (FOREIGN, planned))
            if tables
        }

    def entropies(self) -> list[dict[str, float]]:
        """Return the entropies of each run's bias maps at the landscape size, see `bias_map.entropies`."""
        return [entropies(next(iter(by_size.values()))) for by_size in self.maps]

    def adapted_ig_bits(self, domain: str) -> dict[Quantities, np.ndarray]:
        """Return the IG in a domain by adapted numbers: (n_seeds, n_images)."""
        runs = self.adapted[domain]
        return {subset: self.by_training([adapted.ig_bits[subset] for adapted in runs]) for subset in SUBSETS}
