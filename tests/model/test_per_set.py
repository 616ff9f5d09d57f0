"""Own numbers of sets: against the plain model in float64, in every version of the step, and as they were planted."""

from __future__ import annotations

import pytest
import torch

from entreg.config import PER_SET
from entreg.features.grid import grid_of
from entreg.features.normalisation import normalised
from entreg.model import reference
from entreg.model.deepgaze3 import DeepGaze3, OnSet, densities
from entreg.model.per_set import PerSet
from entreg.model.step_library import TORCH, available

pytestmark = pytest.mark.usefixtures("one_thread")

SETS = ("a", "b", "c")
SIZE, TAPS, CHANNELS, IMAGES = (112, 176), (7, 11), 24, 3
GRID = grid_of(SIZE, (TAPS,), 2, 4, 4)
STEPS = [TORCH, *available()]


def drawn(numbers=PER_SET, seed: int = 0, step: str = TORCH) -> DeepGaze3:
    """A model whose parameters, and own numbers of three sets, are all away from 0 and 1."""
    model = DeepGaze3(CHANNELS, 3.0, seed, PerSet(SETS, numbers) if numbers else None)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.4 if name.startswith("per_set") else 0.1
            parameter.add_(spread * torch.randn(parameter.shape, generator=generator))
    model.step = step
    return model


class Case:
    """Taps and centre biases of some images at full resolution, and what the fast path reads of them."""

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.taps = torch.randn(IMAGES, CHANNELS, *TAPS, generator=generator)
        self.full_bias = torch.randn(IMAGES, *SIZE, generator=generator)
        self.center_bias = self.full_bias[:, GRID.rows.center_bias[:, None], GRID.columns.center_bias]
        y, x = (torch.randint(0, n, (IMAGES, 9), generator=generator) for n in SIZE)
        self.fixations = list(zip(y, x, strict=True))

    def fast(self, model: DeepGaze3 | OnSet, precision: torch.dtype = torch.float32):
        features = normalised(GRID.gather([self.taps.to(precision)]), GRID.weights())
        return densities([model], features, [self.center_bias.to(precision)], GRID, precision)[0]

    def plain(self, model: DeepGaze3, of_set: int) -> torch.Tensor:
        """The published model in float64, whose last convolution, blur and weight are changed as they are defined."""
        p = dict(model.named_parameters())
        a, b, c = (p[f"per_set.{name}"] for name in ("scale", "spread", "center_bias"))
        changed = {
            "fixation_selection_network.conv2.weight": (a[of_set] - a.mean()).exp(),
            "finalizer.gauss.sigma": (b[of_set] - b.mean()).exp(),
        }
        parameters = {name: value * changed.get(name, 1) for name, value in p.items()}
        parameters["finalizer.center_bias_weight"] = p["finalizer.center_bias_weight"] + c[of_set] - c.mean()
        return reference.log_density(parameters, [self.taps.double()], self.full_bias.double(), 2, 4, 4)

    def gradients(self, model: DeepGaze3, log_density: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        reference.nll_nats(log_density, self.fixations).backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("of_set", range(3))
def test_density_and_gradients_are_those_of_the_plain_model_in_float64(of_set):
    case, model = Case(), drawn().double()
    expected = case.plain(model, of_set)
    found = case.fast(model.on(SETS[of_set]), torch.float64).full()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    ours, theirs = (case.gradients(model, density) for density in (found, expected))
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-6, atol=1e-9)
    assert all(ours[f"per_set.{name}"].abs().min() > 1e-6 for name in PER_SET)


@pytest.mark.parametrize("step", STEPS)
def test_every_version_of_the_step_has_these_gradients(step):
    case = Case()
    expected = case.gradients(exact := drawn().double(), case.plain(exact, 1))
    model = drawn(step=step)
    found = case.gradients(model, case.fast(model.on("b")).full())
    greatest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() <= max(5e-5 * gradient.abs().max(), 1e-6 * greatest), name


def test_the_model_by_itself_is_that_of_the_average_set():
    """The geometric mean of scales is 1 and that of blurs the model's own; so is the mean of the weights."""
    model = drawn().double()
    numbers = model.own_numbers()
    scales, sigmas, weights = (
        torch.tensor([numbers[name][key] for name in SETS]) for key in ("scale", "sigma_px", "center_bias_weight")
    )
    assert scales.log().mean().item() == pytest.approx(0, abs=1e-6) and scales.std() > 0.1
    assert sigmas.log().mean().exp().item() == pytest.approx(model.finalizer.gauss.sigma.item(), rel=1e-6)
    assert weights.mean().item() == pytest.approx(model.finalizer.center_bias_weight.item(), rel=1e-6)
    case, bare = Case(), DeepGaze3(CHANNELS, 1.0, 5).double()
    bare.load_state_dict({name: model.state_dict()[name] for name in bare.state_dict()})
    assert torch.equal(case.fast(model, torch.float64).grid, case.fast(bare, torch.float64).grid)
    assert model.on("elsewhere") is model and bare.on("a") is bare and bare.own_numbers() == {}


@pytest.mark.parametrize("numbers", [("scale",), ("spread",), ("center_bias",)])
def test_sets_share_what_they_do_not_have_of_their_own(numbers):
    model = drawn(numbers)
    assert {name for name in model.state_dict() if name.startswith("per_set")} == {f"per_set.{numbers[0]}"}
    key = {"scale": "scale", "spread": "sigma_px", "center_bias": "center_bias_weight"}[numbers[0]]
    assert [[*one] for one in model.own_numbers().values()] == [[key]] * 3
    grids = [Case().fast(model.on(name)).grid for name in SETS]
    assert not torch.equal(grids[0], grids[1]) and not torch.equal(grids[1], grids[2])


def test_numbers_that_no_step_has_moved_change_no_bit():
    model, case = drawn(numbers=()), Case()
    with_numbers = DeepGaze3(CHANNELS, 1.0, 5, PerSet(SETS, PER_SET))
    with_numbers.load_state_dict(with_numbers.state_dict() | model.state_dict())
    assert torch.equal(case.fast(with_numbers.on("b")).grid, case.fast(model).grid)


@torch.no_grad()
@pytest.mark.parametrize("step", STEPS)
def test_a_model_by_itself_holds_a_sets_numbers_and_predicts_its_bits(step):
    model, case = drawn(step=step).eval(), Case()
    for name, own in model.of_each_set().items():
        assert own.per_set is None and not own.training and own.step == step
        assert torch.equal(case.fast(own).grid, case.fast(model.on(name)).grid)
    assert {*model.of_each_set()} == {*SETS} and drawn(numbers=()).of_each_set() == {}


@pytest.mark.parametrize("step", STEPS[:2])
def test_models_with_and_without_own_numbers_have_their_bits_beside_each_other(step):
    case, features = Case(), normalised(GRID.gather([Case().taps]), GRID.weights())
    models = [drawn(seed=0, step=step), drawn(numbers=(), seed=1, step=step), drawn(("scale",), seed=2, step=step)]
    together = densities([m.on("c") for m in models], features, [case.center_bias] * 3, GRID, torch.float32)
    for model, found in zip(models, together, strict=True):
        assert torch.equal(found.grid, case.fast(model.on("c")).grid)


def test_planted_numbers_are_learned_where_the_networks_are_the_truth():
    """Three sets whose scales are .5, 1 and 2, and whose blurs and weights are equal.

    The loss is the expected NLL under the planted densities, so that nothing is left to chance. Trainings of all
    parameters are in tests/test_planted_scales.py.
    """
    planted = dict(zip(SETS, (0.5, 1.0, 2.0), strict=True))
    truth = drawn(numbers=(), step=STEPS[-1]).requires_grad_(False)
    last = truth.fixation_selection_network.conv2.weight.mul_(20)
    model = DeepGaze3(CHANNELS, 3.0, 0, PerSet(SETS, PER_SET))
    model.load_state_dict(model.state_dict() | truth.state_dict())
    model.step, cases, targets, unscaled = truth.step, {name: Case(i) for i, name in enumerate(SETS)}, {}, last.clone()
    for name, scale in planted.items():
        last.copy_(scale * unscaled)
        targets[name] = cases[name].fast(truth).full().exp()
    optimizer = torch.optim.Adam(model.per_set.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.98)
    for _ in range(150):
        for name in SETS:
            optimizer.zero_grad()
            (-(targets[name] * cases[name].fast(model.on(name)).full()).sum((1, 2)).mean()).backward()
            optimizer.step()
        schedule.step()
    for name, numbers in model.own_numbers().items():  # the geometric mean of the scales is 1
        assert numbers["scale"] == pytest.approx(planted[name], rel=0.01)
        assert numbers["sigma_px"] == pytest.approx(float(truth.finalizer.gauss.sigma), rel=0.01)
        assert numbers["center_bias_weight"] == pytest.approx(float(truth.finalizer.center_bias_weight), abs=0.01)
