"""The grid's exactness: the fast path at cell resolution equals the published model at full resolution."""

import itertools
import math

import pytest
import torch

from benchmarks.golden import log_density_differences, relative
from entreg.features.grid import downsampled, grid_of
from entreg.features.normalisation import normalised
from entreg.model import reference
from entreg.model.deepgaze3 import DeepGaze3

SIZES = [(64, 96), (97, 131), (131, 97), (250, 333)]
# halvings of the downsampled image at each tap, and its channels
ONE_RESOLUTION, MIXED, FINER_THAN_THE_READOUT = {4: 12}, {3: 7, 4: 9}, {1: 3, 2: 4, 5: 5}


def tap_sizes(size, downsample, halvings):
    def length(n, times):
        n //= downsample
        for _ in range(times):
            n = math.ceil(n / 2)
        return n

    return tuple(tuple(length(n, times) for n in size) for times in halvings)


def random_model(channels):
    model = DeepGaze3(channels, sigma_px=2.5, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            # away from ones and zeros, so that each parameter matters
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def both_ways(size, halvings, factors, precision):
    """(log density, gradient by name) of the fast path and of the published one, on random taps and fixations."""
    torch.manual_seed(3)
    sizes = tap_sizes(size, factors[0], halvings)
    taps = [
        torch.randn(2, channels, *s, dtype=torch.float64) for s, channels in zip(sizes, halvings.values(), strict=True)
    ]
    center_bias = torch.randn(2, *size, dtype=torch.float64).flatten(1).log_softmax(1).view(2, *size)
    y, x = torch.randint(size[0], (2, 30)), torch.randint(size[1], (2, 30))

    model = random_model(sum(halvings.values())).to(precision)
    grid = grid_of(size, sizes, *factors)
    small = center_bias[:, grid.rows.center_bias[:, None], grid.columns.center_bias].to(precision)
    density = model(normalised(grid.gather([t.to(precision) for t in taps]), grid.weights()), small, grid, precision)
    image = torch.arange(2)[:, None].expand_as(y)
    (-density.at(image.flatten(), y.flatten(), x.flatten()).mean() - density.entropy_nats().mean()).backward()
    fast = density.full().detach(), {name: p.grad for name, p in model.named_parameters()}

    parameters = {name: p.detach().double().requires_grad_() for name, p in model.named_parameters()}
    expected = reference.log_density(parameters, taps, center_bias, *factors)
    loss = reference.nll_nats(expected, list(zip(y, x, strict=True))) - reference.entropy_nats(expected).mean()
    loss.backward()
    return fast, (expected.detach(), {name: p.grad for name, p in parameters.items()})


CASES = [
    *(((97, 131), MIXED, factors) for factors in itertools.product((1, 2, 3), (4, 8), (4, 3))),
    *(
        (size, taps, factors)
        for size in ((64, 96), (131, 97), (250, 333))
        for taps, factors in (
            (ONE_RESOLUTION, (2, 4, 4)),
            (FINER_THAN_THE_READOUT, (3, 8, 3)),
        )
    ),
]


@pytest.mark.parametrize("size, halvings, factors", CASES, ids=str)
def test_fast_path_is_the_published_model_at_full_resolution(size, halvings, factors):
    # in float64 nothing but rounding of 1e-16 may differ: the identity itself is tested
    (found, found_gradients), (expected, gradients) = both_ways(size, halvings, factors, torch.float64)
    assert found.shape == expected.shape == (2, *size)
    assert (found - expected).abs().max() <= 1e-9
    assert found_gradients.keys() == gradients.keys()
    worst = {name: relative(found_gradients[name], gradient) for name, gradient in gradients.items()}
    assert max(worst.values()) <= 1e-7, worst


@pytest.mark.parametrize("size, factors", [((97, 131), (2, 4, 4)), ((250, 333), (3, 8, 3))], ids=str)
def test_float32_suffices(size, factors):
    (found, found_gradients), (expected, gradients) = both_ways(size, MIXED, factors, torch.float32)
    assert log_density_differences(found, expected)["log_density_beyond_rounding"] <= 1e-5
    assert max(relative(found_gradients[name], gradient) for name, gradient in gradients.items()) <= 1e-3


def test_cells_are_the_taps_own_resolution_where_sizes_divide():
    grid = grid_of((768, 1024), tap_sizes((768, 1024), 2, MIXED), 2, 4, 4)
    assert (len(grid.rows.counts), len(grid.columns.counts)) == (48, 64)
    assert grid.weights() is None
    coarse = grid_of((768, 1024), tap_sizes((768, 1024), 2, ONE_RESOLUTION), 2, 4, 4)
    assert coarse.cells == 24 * 32
    assert coarse.rows.counts.tolist() == [4] * 24
    assert coarse.rows.map_counts.tolist() == [4] * 192


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factors", [(2, 4, 4), (3, 8, 3), (1, 4, 3)])
def test_counts_cover_the_readout_and_the_image(size, factors):
    grid = grid_of(size, tap_sizes(size, factors[0], MIXED), *factors)
    for axis, length in zip((grid.rows, grid.columns), size, strict=True):
        assert axis.counts.sum() == math.ceil(length / factors[0] / factors[1])
        assert axis.map_counts.sum() == length
        assert len(axis.map_cells) == len(axis.map_counts) == length // factors[2]
    weights = grid.weights()
    assert weights is None or weights.sum() == pytest.approx(1, abs=1e-6)


def test_nearest_indices_of_a_resize_by_a_factor():
    # floor(10 / 3) = 3 pixels, at floor(3 * i)
    assert downsampled(10, 3).tolist() == [0, 3, 6]
