"""Shares of an information gain: against all orders of adapting, and what makes Shapley's values the only fair ones."""

from __future__ import annotations

import functools
import math
from itertools import combinations, permutations

import numpy as np
import pytest
import scipy.ndimage
import scipy.optimize
import scipy.special
import torch

from entreg.evaluation.adaptation import ADAPTED, SUBSETS, adapt
from entreg.evaluation.adaptation_data import adaptation_data_of
from entreg.evaluation.domain import Domain
from entreg.evaluation.ladder import PARTS, REST, parts, shapley
from entreg.model.step_library import TORCH, available
from entreg.priors.kde import FixationKde
from tests.evaluation.drawn import GRID, SIZE, Model, Split, domain, gaussian, log_densities, readouts

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = 3, 5  # seeds, images
VERSION = [*available(), TORCH][0]


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


# against brute force: the eight subsets fitted by a search that knows no derivative, and shared by hand

TRAINED = {"scale": 1.0, "weight": 1.0, "sigma_px": 2.0}
FREE = {"centre_bias": "weight", "scale": "scale", "spread": "sigma_px"}  # what each adaptation fits
BOUNDS = {"weight": (0, 5), "scale": (0, 5), "sigma_px": (0.3, 18)}


class BruteForce:
    """Log likelihoods straight from their definition, with scipy's blur and a KDE made anew for each image and fold."""

    def __init__(self, model: Model, given: torch.Tensor, drawn: Domain, fold: np.ndarray) -> None:
        rows, columns = (axis.map_cells.numpy() for axis in (GRID.rows, GRID.columns))
        self.readouts = model.readouts.double().numpy()[:, rows[:, None], columns]
        self.given, self.drawn, self.fold = given.double().numpy(), drawn, fold
        self.fixations = [(y.numpy() // 4, x.numpy() // 4) for y, x in drawn.subset.fixations]  # pixels of the map

    @functools.cache  # noqa: B019 - lives as long as the test
    def own(self, image: int, left_out: int | None) -> np.ndarray:
        """The set's KDE without the image, and without a fold."""
        fixations, prior = self.drawn.subset.resized.fixations, self.drawn.prior
        kept = (fixations.image != image) & (self.fold[fixations.image] != left_out)
        kde = FixationKde(
            fixations.y[kept] / SIZE[0],
            fixations.x[kept] / SIZE[1],
            fixations.image[kept],
            prior.kde_bandwidth,
            prior.kde_regularisation,
        )
        return kde.log_density(*SIZE)[::4, ::4]

    def nats(self, numbers: dict[str, float], images: np.ndarray, center_biases: np.ndarray) -> np.ndarray:
        """(n,) mean log density at each image's fixations; a pixel of the map stands for 16 of the image."""
        sigma_px = numbers["sigma_px"]
        radius = math.ceil(3 * sigma_px)
        blurred = scipy.ndimage.gaussian_filter(
            self.readouts[images], (0, sigma_px, sigma_px), radius=(0, radius, radius), mode="nearest"
        )
        z = numbers["scale"] * blurred + numbers["weight"] * center_biases
        log_density = z - scipy.special.logsumexp(z, axis=(1, 2), keepdims=True) - math.log(16)
        return np.array([one[self.fixations[i]].mean() for one, i in zip(log_density, images, strict=True)])

    def ig_bits(self, subset: tuple[str, ...]) -> np.ndarray:
        """(n_images,) each judged by the numbers that suit the images of the other folds best."""
        names, found = [FREE[adapted] for adapted in subset], np.empty(len(self.fold))
        for fold in np.unique(self.fold):
            others, judged = np.flatnonzero(self.fold != fold), np.flatnonzero(self.fold == fold)
            fitted, exact = (
                np.stack([self.own(i, left_out) if "centre_bias" in subset else self.given for i in images])
                for images, left_out in ((others, fold), (judged, None))
            )

            def numbers(values) -> dict[str, float]:
                return TRAINED | dict(zip(names, values, strict=True))

            def loss(values, others=others, fitted=fitted) -> float:
                return -self.nats(numbers(values), others, fitted).mean()

            start = [TRAINED[name] for name in names]
            best = (
                scipy.optimize.minimize(
                    loss,
                    start,
                    method="Nelder-Mead",
                    bounds=[BOUNDS[name] for name in names],
                    options={"xatol": 0.005, "fatol": 1e-6},
                ).x
                if names
                else []
            )
            log_prior = [self.drawn.log_gaussian[i].mean() for i in judged]
            found[judged] = (self.nats(numbers(best), judged, exact) - log_prior) / math.log(2)
        return found


def test_shares_are_those_of_all_eight_subsets_fitted_by_brute_force():
    """On a set that another centre bias, half the scale and twice the blur suit; the same folds."""
    model, given = Model(readouts(20, seed=1), TRAINED["sigma_px"], TRAINED["weight"]), gaussian(0.5, 0.5, 0.25)
    drawn = domain(log_densities(model, gaussian(0.35, 0.6, 0.2), 0.5, 4.0), 120, seed=2)
    target = adaptation_data_of(drawn, 4, seed=0)
    (group,) = target.groups
    brute = BruteForce(model, given, drawn, group.fold)
    values = {subset: brute.ig_bits(subset) for subset in SUBSETS}
    expected = {part: -share for part, share in over_all_orders(values).items()} | {REST: values[ADAPTED]}
    for part, share in parts(adapt(model, Split(given, 20), target, VERSION).ig_bits).items():
        # the search for a blur goes in steps of a sixteenth octave
        np.testing.assert_allclose(share, expected[part], rtol=0, atol=0.003, err_msg=part)
        assert share.mean() == pytest.approx(expected[part].mean(), abs=0.0003)
        assert abs(share.mean()) > 0.03  # each part has something to say
