"""DeepGaze III's readout: the saliency and the fixation selection network, all 1x1, run once a cell.

Features are positions-major, (B, cells, channels): a 1x1 convolution is then one matrix product. Nearest upsampling
commutes with everything here (1x1 convolutions, pointwise functions, joint statistics when cells are weighted by the
positions they stand for), so the result is that of the full resolution.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entreg.features.grid import normalised


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


def melted(norm: LayerNorm, conv: Pointwise, bias: Bias, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scale and shift of a layer norm, a convolution and its bias as one matrix (out, in) and one shift (out,).

    conv(scale * x + shift) + bias, x normalised: what is wide is then read once.
    """
    matrix = conv.matrix.to(dtype)
    return matrix * norm.weight.to(dtype), matrix @ norm.bias.to(dtype) + bias.bias.to(dtype)


class SaliencyNetwork(nn.Module):
    """Normalised features (B, cells, C) to a priority (B, cells, 1): C -> 8 -> 16 -> 1, softplus."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, 8, 16, 1)
        for i in range(3):
            self.add_module(f"layernorm{i}", LayerNorm(widths[i]))
            self.add_module(f"conv{i}", Pointwise(widths[i], widths[i + 1]))
            self.add_module(f"bias{i}", Bias(widths[i + 1]))

    def forward(self, features: Tensor | Sequence[Tensor], weights: Tensor | None, precision: torch.dtype) -> Tensor:
        # layernorm0's statistics are constants of an image, so the store holds normalised features
        matrix, shift = melted(self.layernorm0, self.conv0, self.bias0, self.bias0.bias.dtype)
        x = F.softplus(project(features, matrix, precision) + shift)
        x = F.softplus(F.linear(normalised(x, weights), *melted(self.layernorm1, self.conv1, self.bias1, x.dtype)))
        return F.softplus(F.linear(normalised(x, weights), *melted(self.layernorm2, self.conv2, self.bias2, x.dtype)))


class FixationSelectionNetwork(nn.Module):
    """Priority (B, cells, 1) to readout (B, cells, 1): 1 -> 128 -> 16 -> 1, without scanpath input."""

    def __init__(self) -> None:
        super().__init__()
        self.layernorm0 = nn.Sequential(OrderedDict(layernorm_part0=LayerNorm(1)))
        self.conv0 = nn.Sequential(OrderedDict(conv_part0=Pointwise(1, 128)))
        self.bias0 = Bias(128)
        self.layernorm1 = LayerNorm(128)
        self.conv1 = Pointwise(128, 16)
        self.bias1 = Bias(16)
        self.conv2 = Pointwise(16, 1)

    def forward(self, priority: Tensor, weights: Tensor | None) -> Tensor:
        # float64: some gradients here nearly cancel, and Adam makes whole steps of what is left. In float32 that is
        # rounding, which depends on how a batch is cut up among ranks
        wide = torch.float64
        x = normalised(priority.to(wide), weights)
        first = melted(self.layernorm0.layernorm_part0, self.conv0.conv_part0, self.bias0, wide)
        x = normalised(F.softplus(F.linear(x, *first)), weights)
        x = F.softplus(F.linear(x, *melted(self.layernorm1, self.conv1, self.bias1, wide)))
        return F.linear(x, self.conv2.matrix.to(wide)).to(priority.dtype)


def project(features: Tensor | Sequence[Tensor], matrix: Tensor, precision: torch.dtype) -> Tensor:
    """Features (B, cells, C) of any stored precision times matrix (out, C): (B, cells, out) in the matrix's precision.

    features: one tensor, or a sequence of B tensors (cells, C) that need not be contiguous in memory.
    precision: of the product's factors. Gradients flow to the matrix alone: features are constants.
    """
    return _Project.apply(matrix, precision, features)


class _Project(torch.autograd.Function):
    """On the CPU image by image: the float32 copy of a float16 image stays in the cache between cast and product."""

    @staticmethod
    def forward(ctx, matrix: Tensor, precision: torch.dtype, features: Tensor | Sequence[Tensor]) -> Tensor:
        ctx.features, ctx.precision = features, precision
        # detached: matmul folds the blocks of what requires a gradient into one product again
        factor = matrix.detach().to(precision)
        if matrix.is_cuda:
            return F.linear(features.to(precision), factor).to(matrix)
        # (out, C) @ (C, cells of a block): with few outputs this order is the faster one in every BLAS tried
        products = [(factor @ _blocks(image.to(precision)).mT).mT.flatten(0, 1) for image in features]
        return torch.stack(products).to(matrix)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        # float16 has a small range: gradients are brought to 1 before the product and back after it
        scale = 1.0 if ctx.precision == gradient.dtype else gradient.abs().amax().clamp_min(1e-30)
        scaled = (gradient / scale).to(ctx.precision)
        if gradient.is_cuda:
            total = (scaled.flatten(0, 1).T @ ctx.features.to(ctx.precision).flatten(0, 1)).to(gradient)
        else:
            total = gradient.new_zeros(gradient.shape[2], ctx.features[0].shape[1])
            for image, image_gradient in zip(ctx.features, scaled):
                total += (_blocks(image_gradient).mT @ _blocks(image.to(ctx.precision))).to(gradient).sum(0)
        return total * scale, None, None


def _blocks(x: Tensor) -> Tensor:
    """(cells, n) as blocks of cells, (k, cells/k, n): threads share blocks better than they share a skinny product."""
    length = max((n for n in range(8, 33) if len(x) % n == 0), default=len(x))
    return x.view(-1, length, x.shape[1])
