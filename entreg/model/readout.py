"""DeepGaze III's readout: the saliency and the fixation selection network, all 1x1, run once a cell.

Features are positions-major, (B, cells, channels): a 1x1 convolution is then one matrix product. Nearest upsampling
commutes with everything here (1x1 convolutions, pointwise functions, joint statistics when cells are weighted by the
positions they stand for), so the result is that of the full resolution.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entreg.numerics import copies, normalised, project


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


def melted(norm: LayerNorm, conv: Pointwise, bias: Bias) -> tuple[Tensor, Tensor]:
    """A layer norm's scale and shift, a convolution and its bias as one matrix (out, in) and one shift (out,), float64.

    conv(scale * x + shift) + bias, x normalised: what is wide is then read once.
    """
    matrix = conv.matrix.double()
    return matrix * norm.weight.double(), matrix @ norm.bias.double() + bias.bias.double()


def transformed(x: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """x (B, cells, in) times matrix (out, in), plus shift (out,), both float64: (B, cells, out) in x's precision."""
    return torch.bmm(x, copies(matrix.mT, x)) + copies(shift[None], x)


class SaliencyNetwork(nn.Module):
    """Normalised features (B, cells, C) to a priority (B, cells, 1): C -> 8 -> 16 -> 1, softplus."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layernorm0, self.conv0, self.bias0 = LayerNorm(channels), Pointwise(channels, 8), Bias(8)
        self.layernorm1, self.conv1, self.bias1 = LayerNorm(8), Pointwise(8, 16), Bias(16)
        self.layernorm2, self.conv2, self.bias2 = LayerNorm(16), Pointwise(16, 1), Bias(1)

    def forward(self, features: Tensor | Sequence[Tensor], weights: Tensor | None, precision: torch.dtype) -> Tensor:
        # layernorm0's statistics are constants of an image, so the store holds normalised features
        matrix, shift = melted(self.layernorm0, self.conv0, self.bias0)
        x = project(features, matrix.to(self.bias0.bias.dtype), precision)
        x = F.softplus(x + copies(shift[None], x))
        x = F.softplus(transformed(normalised(x, weights), *melted(self.layernorm1, self.conv1, self.bias1)))
        return F.softplus(transformed(normalised(x, weights), *melted(self.layernorm2, self.conv2, self.bias2)))


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

    def forward(self, priority: Tensor, weights: Tensor | None) -> Tensor:
        first = melted(self.layernorm0.layernorm_part0, self.conv0.conv_part0, self.bias0)
        x = F.softplus(transformed(normalised(priority, weights), *first))
        x = F.softplus(transformed(normalised(x, weights), *melted(self.layernorm1, self.conv1, self.bias1)))
        return torch.bmm(x, copies(self.conv2.matrix.double().mT, x))
