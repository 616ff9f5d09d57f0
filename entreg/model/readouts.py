"""What the networks of several models make of the same images, side by side: the features are read and cast once.

Features are positions-major, (B, cells, channels): a 1x1 convolution is then one matrix product, and the first one, the
widest, is one for all models. Nearest upsampling commutes with everything here (1x1 convolutions, pointwise functions,
joint statistics when cells are weighted by the positions they stand for), so the networks run once a cell and the
result is that of the full resolution.
"""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from entreg.features.grid import Grid
from entreg.model.products import product_gradients, products
from entreg.model.readout import Layer
from entreg.numerics import in_threads, normalised, wake_log1p

IMAGES = 24  # of all models together, that a thread computes at a time: fewer keep to the cache, more save calls
VECTOR = 32  # float32 numbers that a pointwise function of PyTorch computes at a time


class HasLayers(Protocol):
    """A model, as it is read here."""

    def layers(self) -> list[Layer]:
        """Of its networks, float64; the last one is a product without shift."""
        ...

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """In the precision that it computes in."""
        ...


def readouts(
    models: Sequence[HasLayers], features: Tensor | Sequence[Tensor], grid: Grid, precision: torch.dtype
) -> Tensor:
    """(R, B, cells, 1): what the networks of R models make of the features of B images.

    features: (B, cells, C) normalised, as the store holds them; a tensor or a sequence of B tensors
    precision: of the widest product, forwards; the rest is in that of the parameters

    Gradients flow to the models' parameters alone.

    Every image is computed by one thread, so that the bits do not depend on their number; and every model's columns of
    the widest product for themselves, so that they do not depend on the other models.
    """
    stacked = [tuple(torch.stack(part) for part in zip(*layer, strict=True))
               for layer in zip(*(model.layers() for model in models), strict=True)]
    (wide, shift), *middle, (last, _) = stacked
    rest = [shift[:, None], *(tensor for matrix, own in middle for tensor in (matrix, own[:, None])), last]
    wide = wide.flatten(0, 1).to(next(models[0].parameters()).dtype)
    return _Readouts.apply(features, grid, precision, wide, *rest)


class Chunk(NamedTuple):
    """Some images of a batch with all that the networks made of them.

    inputs: their products (b*R, cells, 8) and, for each, copies of the models' tensors
    found: (b*R, cells, 1)
    """

    features: Tensor | Sequence[Tensor]
    inputs: list[Tensor]
    found: Tensor


class _Readouts(torch.autograd.Function):
    """Gradients of each image are kept apart and summed once in float64: some of them nearly cancel."""

    @staticmethod
    def forward(ctx: Any, features: Tensor | Sequence[Tensor], grid: Grid, precision: torch.dtype, wide: Tensor,
                *rest: Tensor) -> Tensor:
        count = len(rest[0])
        weights = grid.weights()
        weights = None if weights is None else weights.to(wide.device)
        needed = any(ctx.needs_input_grad)

        def compute(images: slice) -> Chunk:
            own = features[images]
            outputs = products(own, wide, precision)
            columns = outputs.unflatten(2, (count, -1)).transpose(1, 2).flatten(0, 1)
            inputs = [columns, *(_copies(tensor, len(own), wide) for tensor in rest)]
            with torch.set_grad_enabled(needed):
                if needed:
                    inputs = [tensor.requires_grad_() for tensor in inputs]
                return Chunk(own, inputs, _networks(inputs, weights))

        wake_log1p()
        chunks = _in_chunks(compute, _slices(len(features), count, wide, grid.cells))
        ctx.chunks, ctx.count = chunks if needed else None, count
        found = torch.cat([chunk.found.detach() for chunk in chunks])
        return found.unflatten(0, (-1, count)).transpose(0, 1).contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        count, chunks = ctx.count, ctx.chunks
        upstream = gradient.transpose(0, 1).flatten(0, 1).split([len(chunk.found) for chunk in chunks])

        def compute(pair: tuple[Chunk, Tensor]) -> tuple[Tensor | list[Tensor], list[Tensor]]:
            chunk, own = pair
            columns, *others = torch.autograd.grad(chunk.found, chunk.inputs, own)
            columns = columns.unflatten(0, (-1, count)).transpose(1, 2).flatten(2)
            return product_gradients(chunk.features, columns), others

        found = _in_chunks(compute, [*zip(chunks, upstream, strict=True)])
        ctx.chunks = None
        wide = _sum([one for one, _ in found])
        rest = [torch.cat(one).double().unflatten(0, (-1, count)).sum(0)
                for one in zip(*(others for _, others in found), strict=True)]
        return None, None, None, wide, *rest


def _networks(inputs: list[Tensor], weights: Tensor | None) -> Tensor:
    """(n, cells, 1) from the products (n, cells, 8) and a copy of each further tensor for each of the n."""
    x, shift, *middle, last = inputs
    x = F.softplus(x + shift)
    for matrix, shift in zip(middle[::2], middle[1::2], strict=True):
        x = F.softplus(_Product.apply(normalised(x, weights), matrix) + shift)
    return _Product.apply(x, last)


class _Product(torch.autograd.Function):
    """x (n, cells, in) times matrix (n, out, in): (n, cells, out). To the bit what bmm makes of them, and faster.

    With one input it is an elementwise product; backwards, a product with one column is turned so that it has one row.
    The small networks take a fifth less time for it. Forwards those with one output stay: turned, they have other bits.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(x, matrix)
        return x * matrix.mT if x.shape[2] == 1 else torch.bmm(x, matrix.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, matrix = ctx.saved_tensors
        outputs, inputs = matrix.shape[1:]
        if outputs == 1:
            to_x = gradient * matrix
        else:
            to_x = torch.bmm(matrix.mT, gradient.mT).mT if inputs == 1 else torch.bmm(gradient, matrix)
        to_matrix = torch.bmm(gradient.mT, x) if inputs > outputs else torch.bmm(x.mT, gradient).mT
        return to_x, to_matrix


def _copies(x: Tensor, images: int, like: Tensor) -> Tensor:
    """(images*R, ...): x (R, ...; float64), once for each image."""
    return x.detach().to(like.dtype).expand(images, *x.shape).flatten(0, 1).clone()


def _slices(images: int, models: int, like: Tensor, cells: int) -> list[slice]:
    """Of a batch: the images that are computed at a time."""
    if like.is_cuda:
        return [slice(0, images)]
    # what is left over of VECTOR numbers is rounded otherwise, so that the bits would depend on where a chunk ends
    whole = VECTOR // math.gcd(VECTOR, cells)
    most = min(IMAGES // models, -(-images // torch.get_num_threads()))
    length = max(1, most // whole) * whole
    ends = [*range(0, images, length), images]
    # nor is one image left alone if that can be avoided, since it may be rounded otherwise than one of several
    if models == 1 and len(ends) > 2 and ends[-1] - ends[-2] == 1:
        del ends[-2]
    return [slice(start, end) for start, end in zip(ends, ends[1:], strict=False)]


def _in_chunks(compute: Any, chunks: list[Any]) -> list[Any]:
    return [compute(chunks[0])] if len(chunks) == 1 else [*in_threads(compute, chunks)]


def _sum(found: list[Tensor | list[Tensor]]) -> Tensor:
    """Of the images' gradients: one after the other on the CPU."""
    if isinstance(found[0], Tensor):
        return found[0].sum(0)
    images = [one for chunk in found for one in chunk]
    total = torch.zeros_like(images[0])
    for one in images:
        total += one
    return total
