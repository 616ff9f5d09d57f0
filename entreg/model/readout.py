"""DeepGaze III's readout: the parameters of the saliency and the fixation selection network, and what they mean.

`readouts.py` computes it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerNorm(nn.Module):
    """Mean and variance over channels and positions together (eps 1e-12), then scale and shift a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))


class Pointwise(nn.Module):
    """A 1x1 convolution without bias; weight (out, in, 1, 1) as published."""

    def __init__(self, channels: int, new_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(new_channels, channels, 1, 1))

    @property
    def matrix(self) -> Tensor:
        """(out, in)."""
        return self.weight[:, :, 0, 0]


class Bias(nn.Module):
    """A shift a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


Layer = tuple[Tensor, Tensor]  # matrix (out, in) and shift (out,)


def melted(norm: LayerNorm, conv: Pointwise, bias: Bias) -> Layer:
    """A layer norm's scale and shift, a convolution and its bias as one matrix (out, in) and one shift (out,), float64.

    conv(scale * x + shift) + bias, x normalised: what is wide is then read once.
    """
    matrix = conv.matrix.double()
    return matrix * norm.weight.double(), matrix @ norm.bias.double() + bias.bias.double()


class SaliencyNetwork(nn.Module):
    """Normalised features (B, cells, C) to a priority (B, cells, 1): C -> 8 -> 16 -> 1, softplus."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layernorm0, self.conv0, self.bias0 = LayerNorm(channels), Pointwise(channels, 8), Bias(8)
        self.layernorm1, self.conv1, self.bias1 = LayerNorm(8), Pointwise(8, 16), Bias(16)
        self.layernorm2, self.conv2, self.bias2 = LayerNorm(16), Pointwise(16, 1), Bias(1)

    def layers(self) -> list[Layer]:
        """What it computes: a softplus follows each layer, a normalisation stands before each but the first.

        The first one's statistics are constants of an image, so the store holds normalised features.
        """
        return [
            melted(self.layernorm0, self.conv0, self.bias0),
            melted(self.layernorm1, self.conv1, self.bias1),
            melted(self.layernorm2, self.conv2, self.bias2),
        ]


class NormedInputs(nn.Module):
    """The published network normalises each of its inputs by a part of its own; here there is one input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layernorm_part0 = LayerNorm(channels)


class ConvolvedInputs(nn.Module):
    """A convolution for each of the inputs, likewise."""

    def __init__(self, channels: int, new_channels: int) -> None:
        super().__init__()
        self.conv_part0 = Pointwise(channels, new_channels)


class FixationSelectionNetwork(nn.Module):
    """Priority (B, cells, 1) to readout (B, cells, 1): 1 -> 128 -> 16 -> 1, without scanpath input."""

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
        """What it computes before its last product: as in the saliency network, with a normalisation before each."""
        return [
            melted(self.layernorm0.layernorm_part0, self.conv0.conv_part0, self.bias0),
            melted(self.layernorm1, self.conv1, self.bias1),
        ]
