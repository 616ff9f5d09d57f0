"""The networks against layer norm, 1x1 convolution and bias as torch.nn.functional computes them on maps."""
import pytest
import torch
import torch.nn.functional as F

from entreg.model import readout
from entreg.model.readout import Bias, FixationSelectionNetwork, LayerNorm, Pointwise, SaliencyNetwork
from entreg.numerics import normalised

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


def saliency_network(x, p):
    for i in range(3):
        x = F.softplus(F.conv2d(layer_norm(x, p, f"layernorm{i}"), p[f"conv{i}.weight"], p[f"bias{i}.bias"]))
    return x


def fixation_selection_network(x, p):
    x = layer_norm(x, p, "layernorm0.layernorm_part0")
    x = F.softplus(F.conv2d(x, p["conv0.conv_part0.weight"], p["bias0.bias"]))
    x = F.softplus(F.conv2d(layer_norm(x, p, "layernorm1"), p["conv1.weight"], p["bias1.bias"]))
    return F.conv2d(x, p["conv2.weight"])


def test_melted_is_scale_and_shift_convolution_and_bias_in_one():
    norm, conv, bias = drawn(LayerNorm(5), 1), drawn(Pointwise(5, 3), 2), drawn(Bias(3), 3)
    matrix, shift = readout.melted(norm, conv, bias)
    assert matrix.shape == (3, 5) and shift.shape == (3,) and matrix.dtype == shift.dtype == torch.float64
    x = maps(5)
    plain = layer_norm(x, {"n.weight": norm.weight, "n.bias": norm.bias}, "n")
    plain = F.conv2d(plain, conv.weight) + bias.bias[:, None, None]
    fast = readout.transformed(normalised(positions_major(x), None), matrix, shift)
    torch.testing.assert_close(fast, positions_major(plain), atol=1e-12, rtol=0)


def test_melted_is_float64_whatever_the_parameters_are():
    """In float32 0.1 * 3 is 0.3 + 1.2e-8, in float64 of the same float32 0.1 it is 0.3 + 4.5e-9."""
    norm, conv, bias = LayerNorm(1), Pointwise(1, 1), Bias(1)
    with torch.no_grad():
        norm.weight.fill_(0.1)
        conv.weight.fill_(3)
    matrix, _ = readout.melted(norm, conv, bias)
    assert matrix.item() == 3 * norm.weight.double().item()


def test_the_saliency_network_is_the_published_one():
    network = drawn(SaliencyNetwork(7))
    x = maps(7)
    fast = network(normalised(positions_major(x), None), None, torch.float64)
    assert fast.shape == (2, HEIGHT * WIDTH, 1)
    plain = saliency_network(x, dict(network.named_parameters()))
    torch.testing.assert_close(fast, positions_major(plain), atol=1e-12, rtol=0)


def test_the_fixation_selection_network_is_the_published_one():
    network = drawn(FixationSelectionNetwork())
    x = maps(1)
    fast = network(positions_major(x), None)
    assert fast.shape == (2, HEIGHT * WIDTH, 1)
    plain = fixation_selection_network(x, dict(network.named_parameters()))
    torch.testing.assert_close(fast, positions_major(plain), atol=1e-12, rtol=0)


def test_a_cell_counts_as_often_as_it_stands_for_a_position():
    """On maps whose rows are repeated 1, 2, 5 and 1 times and whose columns once or twice the statistics are others."""
    rows, columns = torch.tensor([1, 2, 5, 1]), torch.tensor([1, 2, 1, 1, 2, 1])
    counts = (rows[:, None] * columns).flatten()
    weights = counts / counts.sum().double()

    def repeated(x):
        return x.repeat_interleave(rows, 2).repeat_interleave(columns, 3)

    saliency, selection = drawn(SaliencyNetwork(7)), drawn(FixationSelectionNetwork(), 4)
    x = maps(7)
    fast = selection(saliency(normalised(positions_major(x), weights), weights, torch.float64), weights)
    plain = saliency_network(repeated(x), dict(saliency.named_parameters()))
    plain = fixation_selection_network(plain, dict(selection.named_parameters()))
    cells = fast.mT.view(2, 1, HEIGHT, WIDTH)
    torch.testing.assert_close(repeated(cells), plain, atol=1e-12, rtol=0)


@pytest.mark.parametrize("network, expected", [
    (SaliencyNetwork(2560), {
        "layernorm0.weight": (2560,), "layernorm0.bias": (2560,), "conv0.weight": (8, 2560, 1, 1), "bias0.bias": (8,),
        "layernorm1.weight": (8,), "layernorm1.bias": (8,), "conv1.weight": (16, 8, 1, 1), "bias1.bias": (16,),
        "layernorm2.weight": (16,), "layernorm2.bias": (16,), "conv2.weight": (1, 16, 1, 1), "bias2.bias": (1,),
    }),
    (FixationSelectionNetwork(), {
        "layernorm0.layernorm_part0.weight": (1,), "layernorm0.layernorm_part0.bias": (1,),
        "conv0.conv_part0.weight": (128, 1, 1, 1), "bias0.bias": (128,),
        "layernorm1.weight": (128,), "layernorm1.bias": (128,), "conv1.weight": (16, 128, 1, 1), "bias1.bias": (16,),
        "conv2.weight": (1, 16, 1, 1),
    }),
], ids=["saliency", "fixation selection"])
def test_parameters_have_their_published_names_and_shapes(network, expected):
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == expected
