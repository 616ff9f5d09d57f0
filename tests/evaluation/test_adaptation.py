"""The adaptation finds what was done to a model whose fixations are drawn from it scaled, blurred, or moved."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from entreg.evaluation.adaptation import ADAPTED, NO_BLUR_PX, SUBSETS, adapt
from entreg.evaluation.adaptation_data import adaptation_data_of
from entreg.evaluation.ladder import REST, parts
from entreg.model.step_library import TORCH, available
from entreg.report import page
from entreg.runs.folder import RunFolder
from tests.evaluation.drawn import CELLS, GRID, Model, Split, domain, gaussian, log_densities, readouts
from tests.report.findings import findings

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGES = 40
CENTRE, CORNER = gaussian(0.5, 0.5, 0.25), gaussian(0.3, 0.7, 0.2)
UNIFORM = torch.full_like(CENTRE, -math.log(16 * CENTRE.numel()))
FITS = 5  # folds of 40 images
VERSION = [*available(), TORCH][0]


def adapted(model, log_density, fixations=400, seed=0, given=CENTRE):
    """The model, with the given centre bias, adapted to fixations from a density."""
    target = adaptation_data_of(domain(log_density, fixations, seed), 4, seed=0)
    return adapt(model, Split(given, len(model.readouts)), target, VERSION)


def mean(found, subset, what):
    return np.mean([getattr(fit, what) for fit in found.fits[subset]])


@pytest.fixture
def said(tmp_path, monkeypatch):
    """said(adapted): which numbers ended where the search ends, and in how many fits: in results.json, on the page."""

    def of(adapted):
        folder = RunFolder(tmp_path / str(len(list(tmp_path.iterdir()))))
        monkeypatch.setattr("tests.report.findings._adapted", lambda *_: adapted)
        content = findings(folder.path, lambdas=(0.0,), seeds=1, images=IMAGES - 3, primary=None, labels=("worst",))
        page.write(folder, content)
        ends = content.results.arms["nll"].domains["ood.elsewhere"].ladder.ends
        shown = ", ".join(f"{end} {count} of {FITS}" for end, count in ends.items())
        assert f"fits that ended at a limit of the search: {shown}</small>" in folder.report.read_text()
        return ends

    return of


@pytest.fixture
def model():
    return Model(readouts(IMAGES, seed=1))


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.25])
def test_a_scale_is_found(model, scale):
    found = adapted(model, log_densities(model, CENTRE, scale))
    assert mean(found, ("scale",), "scale") == pytest.approx(scale, rel=0.05)
    assert mean(found, ("scale", "spread"), "scale") == pytest.approx(scale, rel=0.05)
    assert found.ig_bits[("scale",)].mean() > found.ig_bits[()].mean()


@pytest.mark.parametrize("sigma_px", [1.2, 3.0, 5.0])
def test_a_blur_is_found(model, sigma_px):
    found = adapted(model, log_densities(model, CENTRE, sigma_px=sigma_px), fixations=1500)
    assert mean(found, ("spread",), "sigma_px") == pytest.approx(sigma_px, rel=0.05)
    assert mean(found, ("spread",), "scale") == 1


def test_another_centre_bias_is_found_with_its_weight(model):
    found = adapted(model, log_densities(model, CORNER), fixations=1500)
    assert mean(found, ("centre_bias",), "weight") == pytest.approx(1, rel=0.05)
    best = found.ig_bits[("centre_bias",)].mean()
    exact = adapted(model, log_densities(model, CORNER), fixations=1500, given=CORNER).ig_bits[()].mean()
    assert best == pytest.approx(exact, abs=0.02) and best > found.ig_bits[()].mean() + 0.3


def test_the_trained_model_itself_needs_nothing(model):
    found = adapted(model, log_densities(model, CENTRE))
    for subset in SUBSETS:
        assert mean(found, subset, "scale") == pytest.approx(1, rel=0.05)
        # a centre bias estimated from 39 images is a little worse than the true one
        lost = found.ig_bits[()].mean() - found.ig_bits[subset].mean()
        assert abs(lost) < 0.005 if "centre_bias" not in subset else 0 < lost < 0.03


def test_as_trained_is_the_models_own_density(model):
    log_density = log_densities(model, CENTRE)
    drawn = domain(log_density, 50, seed=3)
    found = adapt(model, Split(CENTRE, IMAGES), adaptation_data_of(drawn, 4, seed=0), VERSION)
    for i in (0, 7, IMAGES - 1):
        y, x = drawn.subset.fixations[i]
        expected = (log_density[i, y, x].double().numpy() - drawn.log_gaussian[i]).mean() / math.log(2)
        assert found.ig_bits[()][i] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("version", available())
def test_a_compiled_version_finds_what_torch_finds(model, version):
    target = adaptation_data_of(domain(log_densities(model, CORNER, 0.6), 100, seed=2), 4, seed=0)
    found, expected = (adapt(model, Split(CENTRE, IMAGES), target, one) for one in (version, TORCH))
    for subset in SUBSETS:
        np.testing.assert_allclose(found.ig_bits[subset], expected.ig_bits[subset], rtol=0, atol=1e-4)
        for ours, theirs in zip(found.fits[subset], expected.fits[subset], strict=True):
            assert ours.sigma_px == theirs.sigma_px
            # a fit ends where a step can gain no more than 1e-8 nats
            assert (ours.scale, ours.weight) == pytest.approx((theirs.scale, theirs.weight), abs=5e-4)


def test_each_image_is_judged_by_a_fit_to_others(model):
    """Another image's fixations move a fit and so what it is worth; its own fold's move nothing but its own value."""
    drawn = domain(log_densities(model, CENTRE, 0.5), 60, seed=4)
    target = adaptation_data_of(drawn, 4, seed=0)
    (group,) = target.groups
    first = adapt(model, Split(CENTRE, IMAGES), target, VERSION)
    fold = int(group.fold[0])
    group.weights[0].zero_()[0] = 1.0  # all fixations of image 0 are now its first one
    second = adapt(model, Split(CENTRE, IMAGES), target, VERSION)
    for subset in (("scale",), ADAPTED):
        assert first.fits[subset][fold] == second.fits[subset][fold]
        assert all(first.fits[subset][k] != second.fits[subset][k] for k in range(target.n_folds) if k != fold)


def test_what_is_fitted_is_the_maximum(model):
    """Against a brute-force search of the exact likelihood of the other folds' images."""
    drawn = domain(log_densities(model, CENTRE, 0.6), 100, seed=5)
    target = adaptation_data_of(drawn, 4, seed=0)
    (group,) = target.groups
    fit = adapt(model, Split(CENTRE, IMAGES), target, VERSION).fits[("scale",)][0]
    others = np.flatnonzero(group.fold != 0)

    def nats(scale: float) -> float:
        log_density = log_densities(model, CENTRE, scale)
        return float(np.mean([log_density[i][drawn.subset.fixations[i]].mean() for i in others]))

    grid = np.arange(0.4, 0.9, 0.01)
    assert fit.scale == pytest.approx(grid[np.argmax([nats(s) for s in grid])], abs=0.011)


def test_a_readout_that_only_misleads_is_scaled_to_nothing(model, said):
    found = adapted(model, log_densities(Model(-model.readouts), CENTRE))
    assert {fit.scale for fit in found.fits[("scale",)]} == {0.0}
    assert said(found) == {"scale at 0": FITS}


def test_a_centre_bias_that_only_misleads_gets_no_weight(model, said):
    """People look at a place of its own on each image, where they look on no other."""
    places = torch.stack([gaussian((k // 8 + 0.5) / 5, (k % 8 + 0.5) / 8, 0.1) for k in range(IMAGES)])
    found = adapted(model, log_densities(model, places), fixations=100)
    for subset in SUBSETS:
        expected = {0.0} if "centre_bias" in subset else {1.0}
        assert {fit.weight for fit in found.fits[subset]} == expected
    assert said(found) == {"weight at 0": FITS}


def test_where_the_given_centre_bias_is_uniform_no_weight_is_fitted(model):
    """No weight of it changes a prediction: it stays as trained, whatever that is, and nothing depends on it."""
    target = adaptation_data_of(domain(log_densities(model, CENTRE, 0.5), 100, seed=7), 4, seed=0)
    one, half = (
        adapt(Model(model.readouts, weight=weight), Split(UNIFORM, IMAGES), target, VERSION) for weight in (1.0, 0.5)
    )
    for subset in SUBSETS:
        if "centre_bias" not in subset:
            for found, trained in ((one, 1.0), (half, 0.5)):
                assert {fit.weight for fit in found.fits[subset]} == {trained}
            np.testing.assert_allclose(one.ig_bits[subset], half.ig_bits[subset], rtol=0, atol=1e-4)
        else:  # the set's own can be identified
            weights = [[fit.weight for fit in found.fits[subset]] for found in (one, half)]
            assert weights[0] == pytest.approx(weights[1], abs=0.01) and 0.6 < min(weights[0]) < max(weights[0]) < 0.99


def test_a_blur_beyond_the_search_ends_at_its_ends_and_that_is_said(said):
    flat = Model(readouts(IMAGES, seed=1), sigma_px=4.0)
    sharp = adapted(flat, log_densities(flat, CENTRE, sigma_px=0.01), fixations=600)
    assert {fit.sigma_px for fit in sharp.fits[("spread",)]} == {NO_BLUR_PX} == {sharp.narrowest_px}
    assert said(sharp) == {"no blur": FITS}
    # half the shorter side is as wide as a blur may be
    wide = adapted(flat, log_densities(flat, CENTRE, scale=10, sigma_px=30.0))
    assert {fit.sigma_px for fit in wide.fits[("spread",)]} == {wide.widest_px} == {len(GRID.rows.map_counts) / 2}
    assert said(wide)["widest blur"] == FITS


def test_a_uniform_readout_keeps_the_trained_numbers():
    """Nothing can be fitted, and ties stay with what was trained."""
    model = Model(torch.zeros(IMAGES, *readouts(1, 0).shape[1:]), sigma_px=3.0)
    found = adapted(model, log_densities(model, CENTRE))
    assert {(fit.scale, fit.sigma_px) for fit in found.fits[("scale", "spread")]} == {(1.0, 3.0)}


def test_arms_that_differ_by_scale_alone_differ_by_nothing_else():
    """The known truth of the ladder: all of the raw difference is scale and spread, and nothing is left."""
    ours, base = Model(readouts(IMAGES, seed=1)), Model(1.6 * readouts(IMAGES, seed=1))
    target = adaptation_data_of(domain(log_densities(ours, CENTRE, 0.8), 400, seed=6), 4, seed=0)
    shares = []
    for model in (ours, base):
        found = adapt(model, Split(CENTRE, IMAGES), target, VERSION)
        shares.append(parts({subset: found.ig_bits[subset][None] for subset in SUBSETS}))
    difference = {part: float((shares[0][part] - shares[1][part]).mean()) for part in shares[0]}
    raw = sum(difference.values())
    assert raw > 0.1
    assert difference["scale"] + difference["spread"] == pytest.approx(raw, rel=0.05)
    assert abs(difference[REST]) < 0.005 and abs(difference["centre_bias"]) < 0.05 * raw


def test_of_millions_of_fixations_a_part_is_in_memory_at_a_time(model, monkeypatch):
    """A fixation takes a row and a column of the blur; seven images' fixations do not divide forty's."""
    density = log_densities(model, CENTRE, 0.8)
    whole = adapted(model, density, fixations=30)
    most, bmm, part = [], torch.bmm, 7 * 30 * CELLS[1]
    monkeypatch.setattr("entreg.priors.parts.PART", part)
    monkeypatch.setattr("torch.bmm", lambda a, b: (most.append(a.shape[0] * a.shape[1] * b.shape[2]), bmm(a, b))[1])
    in_parts = adapted(model, density, fixations=30)
    assert max(most) == part
    for subset in SUBSETS:
        assert in_parts.ig_bits[subset] == pytest.approx(whole.ig_bits[subset], abs=1e-5)
