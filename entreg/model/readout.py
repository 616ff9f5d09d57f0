"""DeepGaze III's readout: the parameters of the saliency network and the fixation selection network.

`batched_readout` computes it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerNorm(nn.Module):
    """The parameters of a layer normalisation over channels and positions (eps 1e-12): scale and shift of channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))


class Pointwise(nn.Module):
    """The parameters of a 1x1 convolution without bias: weight (out, in, 1, 1), as published."""

    def __init__(self, channels: int, new_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(new_channels, channels, 1, 1))

    @property
    def matrix(self) -> Tensor:
        """The weight as a matrix (out, in)."""
        return self.weight[:, :, 0, 0]


class Bias(nn.Module):
    """The parameters of a shift per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


Layer = tuple[Tensor, Tensor]  # matrix (out, in) and shift (out,)


def merged(norm: LayerNorm, conv: Pointwise, bias: Bias) -> Layer:
    """Return a layer norm, a convolution and its bias as one matrix (out, in) and one shift (out,), float64.

    They compute conv(scale * x + shift) + bias for a normalised x, so that a wide x is only read once.
    """
    matrix = conv.matrix.double()
    return matrix * norm.weight.double(), matrix @ norm.bias.double() + bias.bias.double()


class SaliencyNetwork(nn.Module):
    """The network from normalised features (B, cells, C) to a priority (B, cells, 1): C -> 8 -> 16 -> 1, softplus."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layernorm0, self.conv0, self.bias0 = LayerNorm(channels), Pointwise(channels, 8), Bias(8)
        self.layernorm1, self.conv1, self.bias1 = LayerNorm(8), Pointwise(8, 16), Bias(16)
        self.layernorm2, self.conv2, self.bias2 = LayerNorm(16), Pointwise(16, 1), Bias(1)

    def layers(self) -> list[Layer]:
        """Return its layers. A softplus follows each layer, and a normalisation precedes each layer but the first.

        The statistics of the first normalisation are constants of an image, so the store holds normalised features.
        """
        return [
            merged(self.layernorm0, self.conv0, self.bias0),
            merged(self.layernorm1, self.conv1, self.bias1),
            merged(self.layernorm2, self.conv2, self.bias2),
        ]


class NormedInputs(nn.Module):
    """The layer normalisation of the network's inputs, one for each input as published; here there is one input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layernorm_part0 = LayerNorm(channels)


class ConvolvedInputs(nn.Module):
    """The convolution of the network's inputs, one for each input as published."""

    def __init__(self, channels: int, new_channels: int) -> None:
        super().__init__()
        self.conv_part0 = Pointwise(channels, new_channels)


class FixationSelectionNetwork(nn.Module):
    """The network from a priority (B, cells, 1) to the readout (B, cells, 1): 1 -> 128 -> 16 -> 1; no scanpath."""

    def __init__(self) -> None:
        super().__init__()
        self.layernorm0 = NormedInputs(1)
        self.conv0 = ConvolvedInputs(1, 128)
        self.bias0 = Bias(128)
        self.layernorm1 = LayerNorm(128)
        self.conv1 = Pointwise(128, 16)
        self.bias1 = Bias(16)
        self.conv2 = Pointwise(16, 1)

    def layers(self) -> list[Layer]:
        """Return its layers before the last product. A normalisation precedes each layer."""
        return [
            merged(self.layernorm0.layernorm_part0, self.conv0.conv_part0, self.bias0),
            merged(self.layernorm1, self.conv1, self.bias1),
        ]
