"""What several models make of the same images: the features are read and cast once, all else is each model's own.

Features are positions-major, (B, cells, channels): a 1x1 convolution is then one matrix product. Nearest upsampling
commutes with everything here (1x1 convolutions, pointwise functions, joint statistics when cells are weighted by the
positions they stand for), so the networks run once a cell and the result is that of the full resolution.

A model's bits do not depend on the other models, since no tensor holds numbers of two of them; nor on the number of
threads, since a batch is cut into chunks of IMAGES whatever that number is, and one thread computes a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from entreg.features.grid import Grid
from entreg.model.products import product_gradients, products
from entreg.model.readout import Layer
from entreg.numerics import bmm, in_threads, normalised, one_thread, softplus, wake_log1p

IMAGES = 4  # that a thread computes at a time: fewer keep to the cache and occupy more threads, more save calls


class HasLayers(Protocol):
    """A model, as it is read here."""

    def layers(self) -> list[Layer]:
        """Of its networks, float64; the last one is a product without shift."""
        ...

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """In the precision that it computes in."""
        ...


@dataclass(frozen=True)
class Head:
    """What a model makes of its readouts.

    tensors: that the result depends on, beside the readouts
    compute: from the readouts (n, cells, 1) of some images, the tensors, and which images of the batch these are
    """

    tensors: Sequence[Tensor]
    compute: Callable[[Tensor, Sequence[Tensor], slice], Tensor]


AS_IT_IS = Head((), lambda readout, tensors, images: readout)


def readouts(
    models: Sequence[HasLayers],
    features: Tensor | Sequence[Tensor],
    grid: Grid,
    precision: torch.dtype,
    heads: Sequence[Head] | None = None,
) -> list[Tensor]:
    """What the networks of each model make of B images, (B, cells, 1), or what its head makes of that, (B, ...).

    features: (B, cells, C) normalised, as the store holds them; a tensor or a sequence of B tensors
    precision: of the widest product, forwards; the rest is in that of the parameters

    Gradients flow to the models' parameters and the heads' tensors alone.
    """
    heads = heads or [AS_IT_IS] * len(models)
    tensors = [_tensors(model) for model in models]
    flat = [tensor for own, head in zip(tensors, heads, strict=True) for tensor in (*own, *head.tensors)]
    return list(_Readouts.apply(features, grid, precision, heads, *flat))


def _tensors(model: HasLayers) -> list[Tensor]:
    """The matrix of the widest product, in the parameters' precision; then of all layers what is left, float64."""
    with one_thread():
        (wide, shift), *middle, (last, _) = model.layers()
    rest = [tensor for layer in middle for tensor in layer]
    return [wide.to(next(model.parameters()).dtype), shift, *rest, last]


class Found(NamedTuple):
    """What a model made of a chunk's images.

    products: (n, cells, 8) of the widest matrix; copies: of the networks' further tensors, one for each image
    tensors: of the head; output: (n, ...)
    """

    products: Tensor
    copies: list[Tensor]
    tensors: list[Tensor]
    output: Tensor


class Chunk(NamedTuple):
    """Some images of a batch, with what each model made of them."""

    features: Tensor | Sequence[Tensor]
    found: list[Found]


class _Readouts(torch.autograd.Function):
    """Gradients of each image are kept apart and summed once in float64: some of them nearly cancel."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor | Sequence[Tensor],
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
            own = features[images]
            wide = products(own, [model[0] for model in models], precision)
            found = []
            with torch.set_grad_enabled(needed):
                for columns, (matrix, *rest), head in zip(wide, models, heads, strict=True):
                    networks = len(rest) - len(head.tensors)
                    inputs = (
                        columns,
                        [_copies(tensor, len(own), matrix) for tensor in rest[:networks]],
                        [tensor.detach() for tensor in rest[networks:]],
                    )
                    if needed:
                        for tensor in (columns, *inputs[1], *inputs[2]):
                            tensor.requires_grad_()
                    readout = _networks(columns, inputs[1], weights)
                    found.append(Found(*inputs, head.compute(readout, inputs[2], images)))
            return Chunk(own, found) if needed else Chunk((), [Found(columns, [], [], one.output) for one in found])

        wake_log1p()
        chunks = _in_chunks(compute, _slices(len(features), flat[0]), flat[0])
        ctx.chunks, ctx.length = chunks if needed else None, length
        ctx.set_materialize_grads(False)
        return tuple(
            torch.cat([one.output.detach() for one in of_model])
            for of_model in zip(*(chunk.found for chunk in chunks), strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        chunks, asked = ctx.chunks, {number: one for number, one in enumerate(gradients) if one is not None}
        lengths = [len(chunk.found[0].output) for chunk in chunks]
        upstream = zip(*(one.split(lengths) for one in asked.values()), strict=True)

        def compute(pair: tuple[Chunk, Sequence[Tensor]]) -> list[tuple[Any, Sequence[Tensor], Sequence[Tensor]]]:
            chunk, of_models = pair
            columns, others = [], []
            for number, own in zip(asked, of_models, strict=True):
                found = chunk.found[number]
                first, *rest = torch.autograd.grad(found.output, [found.products, *found.copies, *found.tensors], own)
                columns.append(first)
                others.append((rest[: len(found.copies)], rest[len(found.copies) :]))
            wide = product_gradients(chunk.features, columns)
            return [(one, *rest) for one, rest in zip(wide, others, strict=True)]

        found = _in_chunks(compute, [*zip(chunks, upstream, strict=True)], next(iter(asked.values())))
        ctx.chunks = None
        sums: list[Tensor | None] = [None] * (len(gradients) * ctx.length)
        with one_thread():
            for number, of_model in zip(asked, zip(*found, strict=True), strict=True):
                wide, copies, tensors = zip(*of_model, strict=True)
                sums[number * ctx.length : (number + 1) * ctx.length] = [
                    _sum(wide),
                    *(torch.cat(one).double().sum(0) for one in zip(*copies, strict=True)),
                    *(torch.stack(one).double().sum(0).to(one[0]) for one in zip(*tensors, strict=True)),
                ]
        return None, None, None, None, *sums


def _networks(x: Tensor, copies: Sequence[Tensor], weights: Tensor | None) -> Tensor:
    """(n, cells, 1) from the products (n, cells, 8) and a copy of each further tensor for each of the n."""
    shift, *middle, last = copies
    x = softplus(x + shift[:, None])
    for matrix, shift in zip(middle[::2], middle[1::2], strict=True):
        x = softplus(_Product.apply(normalised(x, weights), matrix) + shift[:, None])
    return _Product.apply(x, last)


class _Product(torch.autograd.Function):
    """x (n, cells, in) times matrix (n, out, in): (n, cells, out). To the bit what bmm makes of them, and faster.

    With one input it is an elementwise product; backwards, a product with one column is turned so that it has one row.
    The small networks take a fifth less time for it. Forwards those with one output stay: turned, they have other bits.
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
    """(images, ...): x (float64), once for each image."""
    return x.detach().to(like.dtype).expand(images, *x.shape).clone()


def _slices(images: int, like: Tensor) -> list[slice]:
    """Of a batch: the images that are computed at a time, whatever the number of models and of threads."""
    length = images if like.is_cuda else IMAGES
    return [slice(start, min(start + length, images)) for start in range(0, images, length)]


def _in_chunks(compute: Any, chunks: list[Any], like: Tensor) -> list[Any]:
    return [*(map(compute, chunks) if like.is_cuda else in_threads(compute, chunks))]


def _sum(found: Sequence[Tensor | list[Tensor]]) -> Tensor:
    """Of the images' gradients: one after the other on the CPU."""
    if isinstance(found[0], Tensor):
        return found[0].sum(0)
    images = [one for chunk in found for one in chunk]
    total = torch.zeros_like(images[0])
    for one in images:
        total += one
    return total
