"""Readouts of several models at once: each as if it were alone, and gradients that are summed without rounding."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from entreg.features.grid import Grid, grid_of
from entreg.features.normalisation import normalised
from entreg.model.batched_readout import _Product, readouts
from entreg.model.deepgaze3 import DeepGaze3, densities
from tests.model.test_readout import HEIGHT, WIDTH, drawn, layer_norm, maps, positions_major

pytestmark = pytest.mark.usefixtures("one_thread")

GRID = grid_of((128, 192), ((8, 12),), 2, 4, 4)
CHANNELS = 40


def features(images: int) -> torch.Tensor:
    return torch.randn(images, GRID.cells, CHANNELS, generator=torch.Generator().manual_seed(1)).half()


def model(seed: int) -> DeepGaze3:
    found = DeepGaze3(CHANNELS, 8.0, seed)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return found


def gradients(models: list[DeepGaze3], images: int) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    found = torch.stack(readouts(models, features(images), GRID, torch.float32))
    upstream = torch.randn(images, GRID.cells, 1, generator=torch.Generator().manual_seed(2))
    (found * upstream).sum().backward()
    own = [[p.grad for name, p in one.named_parameters() if "finalizer" not in name] for one in models]
    return found.detach(), own


# cells that fill vectors and pictures, and that leave something over of both
GRIDS = {96: GRID, 77: grid_of((112, 176), ((7, 11),), 2, 4, 4)}


def densities_and_gradients(models, images, grid, wanted=None):
    """Log densities of each model, and the gradients of those that are wanted."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(16, grid.cells, CHANNELS, generator=generator).half()[images]
    center_bias = torch.randn(16, len(grid.rows.map_counts), len(grid.columns.map_counts), generator=generator)[images]
    found = densities(models, values, [center_bias] * len(models), grid, torch.float32)
    wanted = range(len(models)) if wanted is None else wanted
    torch.autograd.backward([found[number].entropy_nats().sum() for number in wanted])
    of_models = [[parameter.grad for parameter in one.parameters()] for one in models]
    return [one.grid.detach() for one in found], of_models


@pytest.mark.parametrize("cells", GRIDS)
@pytest.mark.parametrize("images", [1, 2, 5, 16])
def test_each_of_several_models_has_the_bits_of_one_alone(images, cells):
    """Densities and gradients, wherever it stands; and where nothing is asked of one of the others."""
    grid = GRIDS[cells]
    assert grid.cells == cells
    together = densities_and_gradients([model(seed) for seed in range(4)], slice(images), grid)
    some = densities_and_gradients([model(seed) for seed in range(4)], slice(images), grid, wanted=[1, 3])
    for seed in range(4):
        (density,), (gradients_alone,) = densities_and_gradients([model(seed)], slice(images), grid)
        for found in (together, some):
            assert torch.equal(found[0][seed], density)
        expected = [(together, gradients_alone), (some, gradients_alone if seed in (1, 3) else None)]
        for found, gradients_of in expected:
            if gradients_of is None:
                assert found[1][seed] == [None] * len(gradients_alone)
            else:
                assert all(torch.equal(a, b) for a, b in zip(found[1][seed], gradients_of, strict=True))


@pytest.mark.parametrize("cells", GRIDS)
def test_the_bits_do_not_depend_on_the_number_of_threads(cells):
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        (density,), (of_model,) = densities_and_gradients([model(0)], slice(16), GRIDS[cells])
        found.append([density, *of_model])
    for of_threads in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(of_threads, found[0], strict=True))


@torch.no_grad()
@pytest.mark.parametrize("cells", GRIDS)
def test_an_images_bits_do_not_depend_on_the_other_images(cells):
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(9, cells, CHANNELS, generator=generator).half()
    (found,) = readouts([model(0)], values, GRIDS[cells], torch.float32)
    for images in (slice(1), slice(2), slice(3), slice(5), slice(3, 9), slice(8, 9)):
        assert torch.equal(readouts([model(0)], values[images], GRIDS[cells], torch.float32)[0], found[images])


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 16), (16, 1), (1, 128), (128, 16), (1, 1)])
def test_a_small_product_is_bmms(inputs, outputs):
    """And its gradients are: against finite differences in float64, and against PyTorch's in float32."""
    torch.manual_seed(0)
    x, matrix = torch.randn(3, 24, inputs).requires_grad_(), torch.randn(3, outputs, inputs).requires_grad_()
    upstream = torch.randn(3, 24, outputs)
    found, expected = _Product.apply(x, matrix), torch.bmm(x, matrix.mT)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    gradients_of = [torch.autograd.grad(one, (x, matrix), upstream) for one in (found, expected)]
    for ours, theirs in zip(*gradients_of, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    small = x.detach()[:1, :3].double().requires_grad_(), matrix.detach()[:1].double().requires_grad_()
    assert torch.autograd.gradcheck(_Product.apply, small)


def test_gradients_are_summed_over_images_in_float64():
    """Three images of the same features whose gradients are 1e8, 1 and -1e8 of one image's: in float32 0 would be left.

    The shift before the last softplus, say: 1e8 + 1 is 1e8 in float32.
    """
    one = model(0)
    same = features(1).expand(3, -1, -1)
    found = readouts([one], same, GRID, torch.float32)[0]
    (found[:, :1, 0] * torch.tensor([[2.0**27], [1.0], [-(2.0**27)]])).sum().backward()
    summed = one.fixation_selection_network.bias1.bias.grad.clone()
    one.zero_grad()
    readouts([one], same, GRID, torch.float32)[0][1, 0, 0].backward()
    torch.testing.assert_close(summed, one.fixation_selection_network.bias1.bias.grad, rtol=1e-6, atol=0)


def test_one_that_is_not_finite_leaves_the_others_alone():
    several = [model(seed) for seed in range(3)]
    _, expected = gradients(several, 4)
    expected = [[gradient.clone() for gradient in own] for own in expected]
    for one in several:
        one.zero_grad()
    with torch.no_grad():
        several[1].saliency_network.conv0.weight[0] = float("nan")
    found, own = gradients(several, 4)
    assert found[1].isnan().any() and not found[[0, 2]].isnan().any()
    for member in (0, 2):
        assert all(torch.equal(a, b) for a, b in zip(own[member], expected[member], strict=True))


def saliency_network(x, p):
    for i in range(3):
        x = F.softplus(F.conv2d(layer_norm(x, p, f"layernorm{i}"), p[f"conv{i}.weight"], p[f"bias{i}.bias"]))
    return x


def fixation_selection_network(x, p):
    x = layer_norm(x, p, "layernorm0.layernorm_part0")
    x = F.softplus(F.conv2d(x, p["conv0.conv_part0.weight"], p["bias0.bias"]))
    x = F.softplus(F.conv2d(layer_norm(x, p, "layernorm1"), p["conv1.weight"], p["bias1.bias"]))
    return F.conv2d(x, p["conv2.weight"])


def repeating(rows: torch.Tensor, columns: torch.Tensor) -> Grid:
    return Grid(SimpleNamespace(counts=rows), SimpleNamespace(counts=columns))


@pytest.mark.parametrize("rows, columns", [([1] * HEIGHT, [1] * WIDTH), ([1, 2, 5, 1], [1, 2, 1, 1, 2, 1])])
def test_the_networks_are_the_published_ones(rows, columns):
    """Cells count as often as they stand for a position: where some do so more often the statistics are others."""
    rows, columns = torch.tensor(rows), torch.tensor(columns)

    def repeated(x):
        return x.repeat_interleave(rows, 2).repeat_interleave(columns, 3)

    one, x = drawn(DeepGaze3(7, 8.0, 0)), maps(7)
    grid = repeating(rows, columns)
    fast = readouts([one], normalised(positions_major(x), grid.weights()), grid, torch.float64)[0]
    plain = saliency_network(repeated(x), dict(one.saliency_network.named_parameters()))
    plain = fixation_selection_network(plain, dict(one.fixation_selection_network.named_parameters()))
    torch.testing.assert_close(repeated(fast.mT.view(2, 1, HEIGHT, WIDTH)), plain, atol=1e-12, rtol=0)
