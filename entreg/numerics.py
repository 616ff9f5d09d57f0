"""Products and normalisations whose bits, forwards and backwards, are the same for an image whatever its batch holds.

Some gradients of the model nearly cancel, and Adam makes whole steps of what is left: that must not be rounding, which
would depend on how a batch is cut up among ranks.
"""
from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

BITS_PER_NAT = 1 / math.log(2)
SUM = 16  # blocks of cells whose products are summed one after the other
PIECE = 1 << 19  # numbers that a thread casts at a time: 2 MB of float32

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Does the work for each item, every thread one at a time and alone.

    Threads that share a small product mostly wait for each other, and its bits would depend on their number. Where one
    item fails the rest is not begun.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, items)
        return

    def alone(item: Item) -> Result:
        torch.set_num_threads(1)  # of this thread, but MKL's of the whole process
        return work(item)

    begun = deque(_pool(threads).submit(alone, item) for item in items)
    try:
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
        wait(begun)
        torch.set_num_threads(threads)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Kept: threads that are new for each step take a seventh of it, for their start, their memory and their end."""
    return ThreadPoolExecutor(threads, "entreg")


def wake_log1p() -> None:
    """Makes log1p, and with it softplus, as fast on the CPU as it can be: ten times faster where this was never done.

    Its AVX-512 code reads a constant through a mask that is empty unless an argument is -0. As long as nothing else has
    touched that constant's page of memory the processor handles a suppressed fault for each 16 numbers instead.
    """
    torch.log1p(torch.full((64,), -0.0))


def products(features: Tensor | Sequence[Tensor], matrix: Tensor, precision: torch.dtype) -> Tensor:
    """Features (B, cells, C) of any stored precision times matrix (out, C): (B, cells, out) in the matrix's precision.

    features: one tensor, or a sequence of B tensors (cells, C) that need not be contiguous in memory.
    precision: of the product's factors. On the CPU piece by piece, see `_pieces`.
    """
    # detached: matmul folds the blocks of what requires a gradient into one product again
    factor = matrix.detach().to(precision)
    if matrix.is_cuda:
        assert isinstance(features, Tensor)  # a GPU's batch is one
        return F.linear(features.to(precision), factor).to(matrix)
    found = matrix.new_empty(len(features), len(features[0]), len(matrix))
    for image, own in zip(features, found, strict=True):
        for cells, piece in _pieces(image, precision):
            # (out, C) @ (C, cells of a block): with few outputs this order is the faster one in every BLAS tried
            blocks = _blocks(piece)
            own[cells].view(*blocks.shape[:2], -1).copy_((factor @ blocks.mT).mT)
    return found


def product_gradients(features: Tensor | Sequence[Tensor], gradient: Tensor) -> Tensor | list[Tensor]:
    """Of `products` to its matrix: (out, C) of each image, in the precision of `gradient` (B, cells, out)."""
    if gradient.is_cuda:
        assert isinstance(features, Tensor)
        return torch.bmm(gradient.mT, features.to(gradient))
    return [_image_gradient(image, own) for image, own in zip(features, gradient, strict=True)]


def _image_gradient(image: Tensor, gradient: Tensor) -> Tensor:
    """(out, C) from (cells, C) and (cells, out): in sums of SUM blocks, which round less than one does."""
    total, part, blocks = gradient.new_zeros(gradient.shape[1], image.shape[1]), None, 0
    for cells, piece in _pieces(image, gradient.dtype):
        for left, right in zip(_blocks(gradient[cells]), _blocks(piece), strict=True):
            if part is None:
                part = left.mT @ right
            else:
                part.addmm_(left.mT, right)
            blocks += 1
            if blocks % SUM == 0:
                total, part = total.add_(part), None
    return total if part is None else total.add_(part)


def _pieces(image: Tensor, precision: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Some of an image's cells at a time and their features in another precision, all in the same memory.

    So the copy between cast and product stays in the cache of a core. That of a whole image does not, and threads that
    write such copies wait for each other's: two of them were hardly faster than one.
    """
    length = _block(len(image))
    step = max(length, PIECE // image.shape[1] // length * length)
    memory = image.new_empty(min(step, len(image)), image.shape[1], dtype=precision)
    for start in range(0, len(image), step):
        part = image[start : start + step]
        yield slice(start, start + len(part)), part if part.dtype == precision else memory[: len(part)].copy_(part)


def normalised(features: Tensor, weights: Tensor | None) -> Tensor:
    """Features (B, cells, C) with mean 0 and variance 1 over cells and channels together, one pair an image.

    The published layer normalisation (eps 1e-12) without its affine part. weights: see `Grid.weights`.
    """
    if weights is None:
        return _Normalised.apply(features)
    weights = (weights.to(features) / features.shape[2])[:, None]
    centred = features - (weights * features).sum((1, 2), keepdim=True)
    return centred * ((weights * centred.square()).sum((1, 2), keepdim=True) + 1e-12).rsqrt()


class _Normalised(torch.autograd.Function):
    """PyTorch's layer norm with a backward pass of ours: its own leaves several times the rounding of float32."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        found, _, rstd = torch.native_layer_norm(features, features.shape[1:], None, None, 1e-12)
        ctx.save_for_backward(found, rstd)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        found, rstd = ctx.saved_tensors
        mean = gradient.mean((1, 2), keepdim=True)
        slope = torch.linalg.vecdot(gradient.flatten(1), found.flatten(1))[:, None, None] / found[0].numel()
        return (gradient - mean).addcmul_(found, slope, value=-1).mul_(rstd)


def _blocks(x: Tensor) -> Tensor:
    """(cells, n) as blocks of cells, (k, cells/k, n): threads share blocks better than they share a skinny product."""
    return x.view(-1, _block(len(x)), x.shape[1])


def _block(cells: int) -> int:
    """How many of so many cells make a block."""
    return max((n for n in range(8, 33) if cells % n == 0), default=cells)
