"""The networks against layer norm, 1x1 convolution and bias as torch.nn.functional computes them on maps."""

import pytest
import torch
import torch.nn.functional as F

from entreg.features.normalisation import normalised
from entreg.model import readout
from entreg.model.readout import Bias, FixationSelectionNetwork, LayerNorm, Pointwise, SaliencyNetwork

HEIGHT, WIDTH = 4, 6


def drawn(module, seed=0):
    """The module in float64 with random parameters, so that each of them matters."""
    generator = torch.Generator().manual_seed(seed)
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    return module


def maps(channels, seed=1):
    """(2, channels, HEIGHT, WIDTH)."""
    return torch.randn(2, channels, HEIGHT, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def positions_major(x):
    return x.flatten(2).mT


def layer_norm(x, p, name):
    """Published: mean and variance of an image over channels and positions together, then scale and shift."""
    x = F.layer_norm(x, x.shape[1:], eps=1e-12)
    return x * p[f"{name}.weight"][:, None, None] + p[f"{name}.bias"][:, None, None]


def test_merged_is_scale_and_shift_convolution_and_bias_in_one():
    norm, conv, bias = drawn(LayerNorm(5), 1), drawn(Pointwise(5, 3), 2), drawn(Bias(3), 3)
    matrix, shift = readout.merged(norm, conv, bias)
    assert matrix.shape == (3, 5) and shift.shape == (3,) and matrix.dtype == shift.dtype == torch.float64
    x = maps(5)
    plain = layer_norm(x, {"n.weight": norm.weight, "n.bias": norm.bias}, "n")
    plain = F.conv2d(plain, conv.weight) + bias.bias[:, None, None]
    fast = normalised(positions_major(x), None) @ matrix.mT + shift
    torch.testing.assert_close(fast, positions_major(plain), atol=1e-12, rtol=0)


def test_merged_is_float64_whatever_the_parameters_are():
    """In float32 0.1 * 3 is 0.3 + 1.2e-8, in float64 of the same float32 0.1 it is 0.3 + 4.5e-9."""
    norm, conv, bias = LayerNorm(1), Pointwise(1, 1), Bias(1)
    with torch.no_grad():
        norm.weight.fill_(0.1)
        conv.weight.fill_(3)
    matrix, _ = readout.merged(norm, conv, bias)
    assert matrix.item() == 3 * norm.weight.double().item()


@pytest.mark.parametrize(
    "network, expected",
    [
        (
            SaliencyNetwork(2560),
            {
                "layernorm0.weight": (2560,),
                "layernorm0.bias": (2560,),
                "conv0.weight": (8, 2560, 1, 1),
                "bias0.bias": (8,),
                "layernorm1.weight": (8,),
                "layernorm1.bias": (8,),
                "conv1.weight": (16, 8, 1, 1),
                "bias1.bias": (16,),
                "layernorm2.weight": (16,),
                "layernorm2.bias": (16,),
                "conv2.weight": (1, 16, 1, 1),
                "bias2.bias": (1,),
            },
        ),
        (
            FixationSelectionNetwork(),
            {
                "layernorm0.layernorm_part0.weight": (1,),
                "layernorm0.layernorm_part0.bias": (1,),
                "conv0.conv_part0.weight": (128, 1, 1, 1),
                "bias0.bias": (128,),
                "layernorm1.weight": (128,),
                "layernorm1.bias": (128,),
                "conv1.weight": (16, 128, 1, 1),
                "bias1.bias": (16,),
                "conv2.weight": (1, 16, 1, 1),
            },
        ),
    ],
    ids=["saliency", "fixation selection"],
)
def test_parameters_have_their_published_names_and_shapes(network, expected):
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == expected
