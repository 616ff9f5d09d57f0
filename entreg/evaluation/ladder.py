"""Split a difference out of domain into centre bias, scale, spread, and a rest that these do not explain.

Let v(S) be the information gain of an arm after it was adapted to the set by the numbers S. Shapley's values then share
v(all) - v(none) among the numbers, independently of the order in which they are adapted (Shapley 1953). An arm's raw
difference to its baseline is exactly

    rest = v_arm(all) - v_baseline(all)    plus, for each number, the baseline's Shapley value minus the arm's.

The rest says whether, after these adaptations, what the model has learned about images generalises better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from entreg.evaluation.adaptation import ADAPTED, Quantities

REST = "rest"
PARTS = (*ADAPTED, REST)


def shapley(values: Mapping[Quantities, np.ndarray], players: tuple[str, ...] = ADAPTED) -> dict[str, np.ndarray]:
    """Return the Shapley value of each player. values: by coalition, whose players stand in the order of `players`."""
    shares = {}
    for player in players:
        others = [other for other in players if other != player]
        total = np.zeros_like(values[()], dtype=np.float64)
        for size in range(len(players)):
            weight = math.factorial(size) * math.factorial(len(others) - size) / math.factorial(len(players))
            for coalition in combinations(others, size):
                joined = tuple(p for p in players if p == player or p in coalition)
                total = total + weight * (values[joined] - values[coalition])
        shares[player] = total
    return shares


def parts(values: Mapping[Quantities, np.ndarray]) -> dict[str, np.ndarray]:
    """Return an arm's share of each part; the shares add up to values[()].

    The differences of two arms' shares are the parts of their raw difference. What an arm gains by adapting a number
    counts against it, since it lacked that as trained.

    values: by adapted numbers, (n_seeds, n_images) information gain
    """
    return {part: -share for part, share in shapley(values).items()} | {REST: values[ADAPTED]}
