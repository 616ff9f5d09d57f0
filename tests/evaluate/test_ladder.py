"""Shares of an information gain: against all orders of adapting, and what makes Shapley's values the only fair ones."""
from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from entreg.evaluate.adaptation import ADAPTED, SUBSETS
from entreg.evaluate.ladder import PARTS, REST, parts, shapley

SHAPE = 3, 5  # seeds, images


def drawn(seed: int) -> dict[tuple[str, ...], np.ndarray]:
    """A gain for every subset of the adapted numbers, as it may come: nothing adds up."""
    rng = np.random.default_rng(seed)
    return {subset: rng.normal(0, 1, SHAPE) for subset in SUBSETS}


def over_all_orders(values: dict, players: tuple[str, ...] = ADAPTED) -> dict[str, np.ndarray]:
    """For each player the mean, over all orders of adapting, of what the player brings at its turn."""
    orders = list(permutations(players))
    shares = {}
    for player in players:
        brought = []
        for order in orders:
            before = set(order[: order.index(player)])
            coalition = tuple(p for p in players if p in before)
            brought.append(values[tuple(p for p in players if p in before | {player})] - values[coalition])
        shares[player] = np.mean(brought, axis=0)
    return shares


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_means_over_all_orders_of_adapting(seed):
    values = drawn(seed)
    expected = over_all_orders(values)
    for player, share in shapley(values).items():
        np.testing.assert_allclose(share, expected[player], rtol=0, atol=1e-12)


def test_any_number_of_players_may_share():
    rng = np.random.default_rng(0)
    for players in (("a",), ("a", "b"), ("a", "b", "c", "d")):
        values = {subset: rng.normal(size=2) for k in range(len(players) + 1) for subset in combinations(players, k)}
        expected = over_all_orders(values, players)
        for player, share in shapley(values, players).items():
            np.testing.assert_allclose(share, expected[player], rtol=0, atol=1e-12)


def test_shares_add_up_to_what_all_bring_together():
    values = drawn(1)
    np.testing.assert_allclose(sum(shapley(values).values()), values[ADAPTED] - values[()], rtol=0, atol=1e-12)


def test_who_adds_nothing_gets_nothing():
    values = drawn(2)
    for subset in SUBSETS:
        values[subset] = values[tuple(player for player in subset if player != "spread")]
    shares = shapley(values)
    assert np.all(shares["spread"] == 0) and np.all(shares["scale"] != 0)


def test_who_can_stand_in_for_each_other_get_the_same():
    values = drawn(3)
    swapped = {"scale": "centre_bias", "centre_bias": "scale", "spread": "spread"}
    for subset in SUBSETS:
        values[tuple(p for p in ADAPTED if swapped[p] in subset)] = values[subset]
    shares = shapley(values)
    np.testing.assert_allclose(shares["scale"], shares["centre_bias"], rtol=0, atol=1e-12)


def test_a_sum_of_gains_is_shared_as_it_was_summed():
    """Each number brings the same whatever was adapted before: 0.5, 0.25 and -0.125 bit on a gain of 1 bit."""
    brings = {"centre_bias": 0.5, "scale": 0.25, "spread": -0.125}
    values = {subset: np.full(SHAPE, 1 + sum(brings[player] for player in subset)) for subset in SUBSETS}
    # an arm lacked as trained what adapting brings it
    expected = {"centre_bias": -0.5, "scale": -0.25, "spread": 0.125, REST: 1.625}
    assert {part: share.mean() for part, share in parts(values).items()} == pytest.approx(expected, abs=1e-12)


def test_parts_add_up_to_the_gain_as_trained():
    values = drawn(4)
    found = parts(values)
    assert tuple(found) == PARTS
    np.testing.assert_allclose(sum(found.values()), values[()], rtol=0, atol=1e-12)


def test_parts_of_two_arms_add_up_to_their_raw_difference():
    ours, base = drawn(5), drawn(6)
    a, b = parts(ours), parts(base)
    np.testing.assert_allclose(sum(a[part] - b[part] for part in PARTS), ours[()] - base[()], rtol=0, atol=1e-12)
    np.testing.assert_allclose(a[REST] - b[REST], ours[ADAPTED] - base[ADAPTED], rtol=0, atol=1e-12)


def test_what_overconfidence_costs_is_scale_and_nothing_is_left():
    """The same knowledge, but the baseline is too sure of itself: all of its deficit is scale, and nothing is left."""
    ours = {subset: np.ones(SHAPE) for subset in SUBSETS}
    base = {subset: np.ones(SHAPE) - 0.3 * ("scale" not in subset) for subset in SUBSETS}
    a, b = parts(ours), parts(base)
    gaps = {part: (a[part] - b[part]).mean() for part in PARTS}
    assert gaps == pytest.approx({"centre_bias": 0, "scale": 0.3, "spread": 0, REST: 0}, abs=1e-12)
