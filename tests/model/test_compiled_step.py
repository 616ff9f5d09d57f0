"""The compiled step against the same formulae in float64, and bits that depend on nothing but a model and an image."""

import pytest
import torch

from entreg.features.grid import grid_of
from entreg.features.rectified import Rectified, Relu, layout
from entreg.losses.nll import nlls_nats
from entreg.losses.nll_entropy import entropies_nats
from entreg.model.deepgaze3 import DeepGaze3, densities
from entreg.model.step_library import TORCH, available

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not available(), reason="the compiled step was not built here"),
]

IMAGES = 5
# (H, W) of the image and sizes of its taps: cells of one size, in a number that vectors divide or not, cells of several
# sizes, a portrait, a single row of cells
GRIDS = {
    "96 cells": ((128, 192), ((8, 12),)),
    "77 cells": ((112, 176), ((7, 11),)),
    "mixed": ((202, 301), ((7, 10), (13, 19))),
    "portrait": ((301, 202), ((19, 13),)),
    "one row": ((16, 300), ((1, 19),)),
}


class Case:
    """Random features of images of one size, fixations, and models whose parameters are all away from 0 and 1."""

    def __init__(self, grid: str, channels: int, dtype: torch.dtype = torch.float16) -> None:
        generator = torch.Generator().manual_seed(0)
        self.grid = grid_of(*GRIDS[grid], 2, 4, 4)
        map_size = len(self.grid.rows.map_counts), len(self.grid.columns.map_counts)
        self.features = torch.randn(IMAGES, self.grid.cells, channels, generator=generator).to(dtype)
        self.center_bias = torch.randn(IMAGES, *map_size, generator=generator)
        # what a loss hands back: fixations, and a little of everything
        self.upstream = 0.01 * torch.randn(IMAGES, *map_size, generator=generator)
        self.upstream[:, map_size[0] // 2, map_size[1] // 3] = -1.0
        self.channels = channels
        # as many fixations on an image as its number, some of them in one place, none on the first
        self.image = torch.repeat_interleave(torch.arange(IMAGES), torch.arange(IMAGES))
        self.y, self.x = (torch.randint(n, self.image.shape, generator=generator) for n in GRIDS[grid][0])
        self.y[-2:], self.x[-2:] = self.y[-1].clone(), self.x[-1].clone()
        self.weights = torch.rand(IMAGES, generator=generator)

    def model(self, seed: int, step: str) -> DeepGaze3:
        made = DeepGaze3(self.channels, 3.0, seed)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        made.step = step
        return made

    def compute(
        self, models: list[DeepGaze3], images: slice = slice(None), precision: torch.dtype = torch.float32
    ) -> tuple[list[torch.Tensor], list[list[torch.Tensor]]]:
        """Return each model's log densities and its parameters' gradients."""
        bias, upstream = (tensor[images].to(precision) for tensor in (self.center_bias, self.upstream))
        found = densities(models, self.features[images], [bias] * len(models), self.grid, precision)
        torch.autograd.backward([(one.grid * upstream).sum() for one in found])
        return [one.grid.detach() for one in found], [[p.grad for p in model.parameters()] for model in models]

    def compute_nll(
        self, models: list[DeepGaze3], precision: torch.dtype = torch.float32
    ) -> tuple[list[torch.Tensor], list[list[torch.Tensor]]]:
        """Return what each image adds to each model's NLL, and the gradients of that model's parameters."""
        weights = [self.weights * (1 + number) for number in range(len(models))]
        at, bias = (self.image, self.y, self.x), self.center_bias.to(precision)
        found = nlls_nats(models, self.features, bias, self.grid, precision, at, weights)
        torch.autograd.backward([nll for nll, _ in found])
        for nll, of_image in found:
            torch.testing.assert_close(nll.detach(), of_image.sum())
        return [of_image for _, of_image in found], [[p.grad for p in model.parameters()] for model in models]

    def compute_entropy(
        self, models: list[DeepGaze3], precision: torch.dtype = torch.float32
    ) -> tuple[list[torch.Tensor], list[list[torch.Tensor]]]:
        """Return the sum of each model's entropies, and the gradients of that model's parameters."""
        biases = [self.center_bias.to(precision)] * len(models)
        found = entropies_nats(models, self.features, biases, self.grid, precision)
        torch.autograd.backward(found)
        return [one.detach() for one in found], [[p.grad for p in model.parameters()] for model in models]


WAYS = pytest.mark.parametrize("way", ["compute", "compute_nll", "compute_entropy"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("channels", [64, 1041])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("step", available())
@WAYS
def test_densities_losses_and_gradients_are_those_of_float64(way, step, grid, channels, dtype):
    """Within 1e-6 of the greatest log density or loss, and 5e-5 of the greatest gradient of each parameter.

    Some gradients are what is left of sums that nearly cancel: those may be off by 2e-7 of the model's greatest one.
    """
    case = Case(grid, channels, dtype)
    compute = getattr(case, way)
    (found,), (gradients,) = compute([case.model(0, step)])
    (exact,), (exact_gradients,) = compute([case.model(0, "torch").double()], precision=torch.float64)
    assert (found - exact).abs().max() <= 1e-6 * exact.abs().max()
    greatest = max(gradient.abs().max() for gradient in exact_gradients)
    for ours, theirs in zip(gradients, exact_gradients, strict=True):
        assert (ours - theirs).abs().max() <= max(5e-5 * theirs.abs().max(), 2e-7 * greatest)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize(
    "width, rest", [(512, 64), (64, 80), (20, 7)], ids=["whole pieces", "whole vectors", "parts of vectors"]
)
@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("step", [*available(), TORCH])
@WAYS
def test_relus_that_are_not_stored_give_the_same_bits(way, step, models, width, rest, dtype):
    """The channels of a tap, those of its ReLU, whose 0 became -0.25, and others."""
    case, plain = Case("77 cells", 2 * width + rest, dtype), Case("77 cells", 2 * width + rest, dtype)
    plain.features[:, :, width : 2 * width] = plain.features[:, :, :width].clamp(min=-0.25)
    of = layout(2 * width + rest, [Relu(width, 0, width)])
    case.features = [of.features(of.row(image)) for image in plain.features]
    assert isinstance(case.features[0], Rectified)
    found, expected = (getattr(one, way)([one.model(k, step) for k in range(models)]) for one in (case, plain))
    assert all(map(torch.equal, found[0], expected[0]))
    for ours, theirs in zip(found[1], expected[1], strict=True):
        assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("step", available())
def test_a_density_sums_to_one_over_the_pixels(step):
    case = Case("mixed", 64)
    (found,), _ = case.compute([case.model(0, step)])
    pixels = case.grid.rows.map_counts[:, None] * case.grid.columns.map_counts
    sums = (pixels * found.double().exp()).sum((1, 2))
    torch.testing.assert_close(sums, torch.ones(IMAGES, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", available())
def test_a_single_cell_has_the_density_of_its_centre_bias(step):
    """All cells being equal, the readout is constant, and the normalisation takes it away."""
    generator = torch.Generator().manual_seed(0)
    grid = grid_of((64, 64), ((1, 1),), 2, 4, 4)
    assert grid.cells == 1
    model, center_bias = DeepGaze3(64, 8.0, 0), torch.randn(1, 16, 16, generator=generator)
    model.step = step
    found = model(torch.randn(1, 1, 64, generator=generator).half(), center_bias, grid).grid.detach()
    expected = center_bias.double() - center_bias.double().logsumexp((1, 2), keepdim=True) - torch.tensor(16.0).log()
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def assert_same(found, expected):
    assert torch.equal(found[0], expected[0])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found[1], expected[1], strict=True))


@pytest.mark.parametrize("step", available())
@pytest.mark.parametrize("grid", ["77 cells", "mixed"])
@WAYS
def test_a_model_has_the_bits_of_one_alone(way, step, grid):
    """Beside three others of the same version, and one that PyTorch computes."""
    case = Case(grid, 64)
    together = getattr(case, way)([case.model(seed, step if seed != 2 else "torch") for seed in range(5)])
    weights = case.weights
    for seed in (0, 1, 3, 4):
        case.weights = weights * (1 + seed)  # those that it has as the model of this number
        alone = getattr(case, way)([case.model(seed, step)])
        assert_same([of_each[seed] for of_each in together], [of_each[0] for of_each in alone])


@pytest.mark.parametrize("step", available())
@WAYS
def test_the_bits_do_not_depend_on_the_number_of_threads(way, step):
    case, found = Case("77 cells", 64), []
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        found.append([of_each[0] for of_each in getattr(case, way)([case.model(0, step)])])
    for other in found[1:]:
        assert_same(other, found[0])


@torch.no_grad()
@pytest.mark.parametrize("step", available())
def test_an_images_bits_do_not_depend_on_the_other_images(step):
    """Nor on whether gradients are wanted."""
    case, grad = Case("mixed", 64), torch.enable_grad()
    with grad:
        (expected,), _ = case.compute([case.model(0, step)])
    model = case.model(0, step)
    for images in (slice(1), slice(2, 5), slice(4, 5)):
        found = model(case.features[images], case.center_bias[images], case.grid).grid
        assert torch.equal(found, expected[images]) and not found.requires_grad


@pytest.mark.parametrize("step", available())
def test_a_model_of_which_nothing_is_asked_gets_no_gradient(step):
    case = Case("77 cells", 64)
    models = [case.model(seed, step) for seed in range(3)]
    found = densities(models, case.features, [case.center_bias] * 3, case.grid, torch.float32)
    found[1].entropy_nats().sum().backward()
    assert [all(p.grad is None for p in model.parameters()) for model in models] == [True, False, True]


@pytest.mark.parametrize("step", available())
def test_gradients_are_summed_over_images_in_float64(step):
    """Three images of the same features, whose gradients are 1e8, 1 and -1e8 of one image's: in float32 0 is left.

    Each is rounded to float32 by itself, so the great ones cancel exactly only where all sums are of the same terms.
    """
    case = Case("77 cells", 64)
    case.features, case.center_bias = (x[:1].expand(3, *x.shape[1:]) for x in (case.features, case.center_bias))
    one, factors = case.upstream[:1], torch.tensor([2.0**27, 1, -(2.0**27)])[:, None, None]
    case.upstream = factors * one
    _, (gradients,) = case.compute([case.model(0, step)])
    case.features, case.center_bias, case.upstream = case.features[:1], case.center_bias[:1], one
    _, (expected,) = case.compute([case.model(0, step)])
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("step", available())
def test_gradients_of_an_nll_grow_with_what_it_is_multiplied_by(step):
    """And a model whose NLL nobody asks for gets none."""
    case, grads = Case("77 cells", 64), []
    for factor in (1.0, 2.0):
        models = [case.model(seed, step) for seed in range(2)]
        at = case.image, case.y, case.x
        found = nlls_nats(models, case.features, case.center_bias, case.grid, torch.float32, at, [case.weights] * 2)
        (factor * found[1][0]).backward()
        assert all(p.grad is None for p in models[0].parameters())
        grads.append([p.grad for p in models[1].parameters()])
    assert all(torch.equal(2 * once, twice) for once, twice in zip(*grads, strict=True))


@pytest.mark.parametrize("step", available())
def test_fixations_that_are_not_ordered_by_image_are_refused(step):
    """The compiled functions would take them for those of other images."""
    case = Case("77 cells", 64)
    case.image, case.y, case.x = (of_fixations.flip(0) for of_fixations in (case.image, case.y, case.x))
    with pytest.raises(AssertionError, match="image by image"):
        case.compute_nll([case.model(0, step)])


@pytest.mark.parametrize("step", available())
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_so(step, value):
    """In the image that has it, so that the training can name it."""
    case = Case("77 cells", 64)
    case.features[2, 5, 7] = value
    (found,), _ = case.compute([case.model(0, step)])
    assert [bool(image.isfinite().all()) for image in found] == [True, True, False, True, True]
