"""What a difference out of domain is made of: centre bias, scale, spread, and a rest that they do not explain.

With v(S) the information gain of an arm after it was adapted to the set by the numbers S, Shapley's values share
v(all) - v(none) among the numbers whatever the order in which they are adapted (Shapley 1953). An arm's raw difference
to its baseline is then exactly

    rest = v_arm(all) - v_baseline(all)    plus, for each number, the baseline's Shapley value minus the arm's.

The rest says whether, after these adaptations, what the model has learned of images generalises better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from entreg.evaluate.adaptation import ADAPTED, Subset

REST = "rest"
PARTS = (*ADAPTED, REST)


def shapley(values: Mapping[Subset, np.ndarray], players: tuple[str, ...] = ADAPTED) -> dict[str, np.ndarray]:
    """The value of each player; values: of every coalition, its players in the order of `players`."""
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


def parts(values: Mapping[Subset, np.ndarray]) -> dict[str, np.ndarray]:
    """An arm's share of each part: differences of two arms' shares are the parts of their raw difference.

    values: by adapted numbers, (n_seeds, n_images) information gain. What adapting a number brings the arm counts
        against
    it: it lacked it as trained. The shares add up to values[()].
    """
    return {part: -share for part, share in shapley(values).items()} | {REST: values[ADAPTED]}
