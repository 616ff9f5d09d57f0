"""The readouts of several models for the same images: the features are read and cast once for all models.

Features are positions-major, (B, cells, channels), so that a 1x1 convolution is one matrix product. Nearest upsampling
commutes with everything here (1x1 convolutions, pointwise functions, and joint statistics where cells are weighted by
the positions they cover), so the networks run once per cell, and the result is that of the full resolution.

A model's bits do not depend on the other models, because no tensor holds numbers of two models. They do not depend on
the number of threads either, because a batch is always cut into chunks of IMAGES, and one thread computes each chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from entreg.distributed.threads import in_threads, one_thread
from entreg.features.grid import Grid
from entreg.features.normalisation import normalised
from entreg.features.rectified import Features
from entreg.model.exact_operations import bmm, softplus, wake_log1p
from entreg.model.readout import Layer
from entreg.model.wide_product import product_gradients, products

IMAGES = 4  # images that a thread computes at a time: fewer stay in the cache and occupy more threads, more save calls


class HasLayers(Protocol):
    """A model, of which this module only needs the layers and parameters."""

    def layers(self) -> list[Layer]:
        """Return the layers of its networks, float64. The last one is a product without a shift."""
        ...

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Return its parameters, which have the precision that it computes in."""
        ...


@dataclass(frozen=True)
class Head:
    """A function of a model's readouts.

    tensors: the tensors that the result depends on, in addition to the readouts
    compute: computes the result from the readouts (n, cells, 1) of some images, the tensors, and the slice of the batch
        that these images are
    """

    tensors: Sequence[Tensor]
    compute: Callable[[Tensor, Sequence[Tensor], slice], Tensor]


AS_IT_IS = Head((), lambda readout, tensors, images: readout)


def readouts(
    models: Sequence[HasLayers],
    features: Tensor | Sequence[Features],
    grid: Grid,
    precision: torch.dtype,
    heads: Sequence[Head] | None = None,
) -> list[Tensor]:
    """Return each model's readouts of B images, (B, cells, 1), or what its head computes from them, (B, ...).

    features: (B, cells, C) normalised, as the store holds them; a tensor or a sequence of B times (cells, C)
    precision: the precision of the widest product in the forward pass; the rest has that of the parameters

    Gradients only flow to the models' parameters and the heads' tensors.
    """
    heads = heads or [AS_IT_IS] * len(models)
    tensors = [layer_tensors(model) for model in models]
    flat = [tensor for layers, head in zip(tensors, heads, strict=True) for tensor in (*layers, *head.tensors)]
    if not torch.is_grad_enabled():  # within _Readouts tensors keep their requires_grad whatever the mode is
        flat = [tensor.detach() for tensor in flat]
    return list(_Readouts.apply(features, grid, precision, heads, *flat))


def layer_tensors(model: HasLayers) -> list[Tensor]:
    """Return the matrix of the widest product in the parameters' precision, then the layers' other tensors, float64."""
    with one_thread():
        (wide, shift), *middle, (last, _) = model.layers()
    rest = [tensor for layer in middle for tensor in layer]
    return [wide.to(next(model.parameters()).dtype), shift, *rest, last]


class Forward(NamedTuple):
    """A model's forward pass for the images of a chunk.

    products: (n, cells, 8) the widest products
    copies: copies of the networks' other tensors, one for each image
    tensors: the tensors of the head
    output: (n, ...) what the head computed
    """

    products: Tensor
    copies: list[Tensor]
    tensors: list[Tensor]
    output: Tensor


class Chunk(NamedTuple):
    """Some images of a batch, with each model's forward pass."""

    features: Tensor | Sequence[Features]
    passes: list[Forward]


class _Readouts(torch.autograd.Function):
    """The readouts. Gradients of the images are separate and summed once in float64, because some nearly cancel."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor | Sequence[Features],
        grid: Grid,
        precision: torch.dtype,
        heads: Sequence[Head],
        *flat: Tensor,
    ) -> tuple[Tensor, ...]:
        length = len(flat) // len(heads)
        models = [flat[start : start + length] for start in range(0, len(flat), length)]
        weights = grid.weights()
        weights = None if weights is None else weights.to(flat[0].device)
        needed = any(ctx.needs_input_grad)

        def compute(images: slice) -> Chunk:
            of_chunk = features[images]
            wide = products(of_chunk, [model[0] for model in models], precision)
            passes = []
            with torch.set_grad_enabled(needed):
                for columns, (matrix, *rest), head in zip(wide, models, heads, strict=True):
                    networks = len(rest) - len(head.tensors)
                    inputs = (
                        columns,
                        [_copies(tensor, len(of_chunk), matrix) for tensor in rest[:networks]],
                        [tensor.detach() for tensor in rest[networks:]],
                    )
                    if needed:
                        for tensor in (columns, *inputs[1], *inputs[2]):
                            tensor.requires_grad_()
                    readout = _networks(columns, inputs[1], weights)
                    passes.append(Forward(*inputs, head.compute(readout, inputs[2], images)))
            if needed:
                return Chunk(of_chunk, passes)
            return Chunk((), [Forward(columns, [], [], forward.output) for forward in passes])

        wake_log1p()
        chunks = _in_chunks(compute, _slices(len(features), flat[0]), flat[0])
        ctx.chunks, ctx.length = chunks if needed else None, length
        ctx.set_materialize_grads(False)
        return tuple(
            torch.cat([forward.output.detach() for forward in passes])
            for passes in zip(*(chunk.passes for chunk in chunks), strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        # only the gradients of the models whose outputs entered the loss
        chunks, entered = ctx.chunks, {number: grad for number, grad in enumerate(gradients) if grad is not None}
        lengths = [len(chunk.passes[0].output) for chunk in chunks]
        upstream = zip(*(torch.split(gradient, lengths) for gradient in entered.values()), strict=True)

        def compute(pair: tuple[Chunk, Sequence[Tensor]]) -> list[tuple[Any, Sequence[Tensor], Sequence[Tensor]]]:
            chunk, upstream_gradients = pair
            columns, others = [], []
            for number, upstream_gradient in zip(entered, upstream_gradients, strict=True):
                forward = chunk.passes[number]
                inputs = [forward.products, *forward.copies, *forward.tensors]
                first, *rest = torch.autograd.grad(forward.output, inputs, upstream_gradient)
                columns.append(first)
                others.append((rest[: len(forward.copies)], rest[len(forward.copies) :]))
            wide = product_gradients(chunk.features, columns)
            return [(gradient, *rest) for gradient, rest in zip(wide, others, strict=True)]

        of_chunks = _in_chunks(compute, [*zip(chunks, upstream, strict=True)], next(iter(entered.values())))
        ctx.chunks = None
        sums: list[Tensor | None] = [None] * (len(gradients) * ctx.length)
        with one_thread():
            for number, of_model in zip(entered, zip(*of_chunks, strict=True), strict=True):
                wide, copies, tensors = zip(*of_model, strict=True)
                sums[number * ctx.length : (number + 1) * ctx.length] = [
                    _sum(wide),
                    *(torch.cat(terms).double().sum(0) for terms in zip(*copies, strict=True)),
                    *(torch.stack(terms).double().sum(0).to(terms[0]) for terms in zip(*tensors, strict=True)),
                ]
        return None, None, None, None, *sums


def _networks(x: Tensor, copies: Sequence[Tensor], weights: Tensor | None) -> Tensor:
    """Return the readout (n, cells, 1) from the products (n, cells, 8) and n copies of each other tensor."""
    shift, *middle, last = copies
    x = softplus(x + shift[:, None])
    for matrix, shift in zip(middle[::2], middle[1::2], strict=True):
        x = softplus(_Product.apply(normalised(x, weights), matrix) + shift[:, None])
    readout: Tensor = _Product.apply(x, last)
    return readout


class _Product(torch.autograd.Function):
    """The product of x (n, cells, in) and matrix (n, out, in): (n, cells, out), with the bits of bmm, but faster.

    With one input it is an elementwise product. In the backward pass, a product with one column is transposed so that
    it has one row. The small networks take a fifth less time like this. In the forward pass, products with one output
    are not transposed, because that would change their bits.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(x, matrix)
        return x * matrix.mT if x.shape[2] == 1 else bmm(x, matrix.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, matrix = ctx.saved_tensors
        outputs, inputs = matrix.shape[1:]
        if outputs == 1:
            to_x = gradient * matrix
        else:
            to_x = bmm(matrix.mT, gradient.mT).mT if inputs == 1 else bmm(gradient, matrix)
        to_matrix = bmm(gradient.mT, x) if inputs > outputs else bmm(x.mT, gradient).mT
        return to_x, to_matrix


def _copies(x: Tensor, images: int, like: Tensor) -> Tensor:
    """Return a copy of x (float64) for each image: (images, ...)."""
    return x.detach().to(like.dtype).expand(images, *x.shape).clone()


def _slices(images: int, like: Tensor) -> list[slice]:
    """Return the images of a batch that are computed at a time, regardless of the number of models and threads."""
    length = images if like.is_cuda else IMAGES
    return [slice(start, min(start + length, images)) for start in range(0, images, length)]


def _in_chunks(compute: Any, chunks: list[Any], like: Tensor) -> list[Any]:
    return [*(map(compute, chunks) if like.is_cuda else in_threads(compute, chunks))]


def _sum(chunks: Sequence[Tensor | list[Tensor]]) -> Tensor:
    """Return the sum of the images' gradients, which are added one after the other on the CPU."""
    if isinstance(chunks[0], Tensor):
        return chunks[0].sum(0)
    gradients = [gradient for chunk in chunks for gradient in chunk]
    total = torch.zeros_like(gradients[0])
    for gradient in gradients:
        total += gradient
    return total
