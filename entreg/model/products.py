"""The widest product, features times matrix, and its gradient: of each image to bits that its batch has no part in.

Features are cast to the product's precision some cells at a time, into memory that is used again: so the copy between
cast and product stays in the cache of a core. That of a whole image does not, and threads that write such copies wait
for each other's: two of them were hardly faster than one.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

PIECE = 1 << 19  # numbers that a thread casts at a time: 2 MB of float32; twice as many for a convolution
SUM = 16  # blocks of cells whose products are summed one after the other
PICTURES = 16  # that a product is cut into where it is computed as a convolution


def products(features: Tensor | Sequence[Tensor], matrix: Tensor, precision: torch.dtype) -> Tensor:
    """Features (B, cells, C) of any stored precision times matrix (out, C): (B, cells, out) in the matrix's precision.

    features: one tensor, or a sequence of B tensors (cells, C) that need not be contiguous in memory.
    precision: of the product's factors
    """
    # detached: matmul folds the blocks of what requires a gradient into one product again
    factor = matrix.detach().to(precision)
    if matrix.is_cuda:
        assert isinstance(features, Tensor)  # a GPU's batch is one
        return F.linear(features.to(precision), factor).to(matrix)
    found = matrix.new_empty(len(features), len(features[0]), len(matrix))
    for image, own in zip(features, found, strict=True):
        if _convolves(len(image), precision):
            for cells, piece in _pieces(image, precision, PICTURES, 2 * PIECE):
                _pictures(own[cells]).copy_(F.conv2d(_pictures(piece), factor[:, :, None, None]))
        else:
            for cells, piece in _pieces(image, precision, _block(len(image)), PIECE):
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
    """(out, C) from (cells, C) and (cells, out): in sums of a piece or SUM blocks, which round less than one does."""
    total = gradient.new_zeros(gradient.shape[1], image.shape[1])
    if _convolves(len(image), gradient.dtype):
        shape = [*total.shape, 1, 1]
        for cells, piece in _pieces(image, gradient.dtype, PICTURES, 2 * PIECE):
            total += conv2d_weight(_pictures(piece), shape, _pictures(gradient[cells]))[:, :, 0, 0]
        return total
    part, blocks = None, 0
    for cells, piece in _pieces(image, gradient.dtype, _block(len(image)), PIECE):
        for left, right in zip(_blocks(gradient[cells]), _blocks(piece), strict=True):
            if part is None:
                part = left.mT @ right
            else:
                part.addmm_(left.mT, right)
            blocks += 1
            if blocks % SUM == 0:
                total, part = total.add_(part), None
    return total if part is None else total.add_(part)


def _convolves(cells: int, precision: torch.dtype) -> bool:
    """Whether a product of so many cells is computed as one of oneDNN's convolutions.

    On an AMD processor, where MKL reaches half of oneDNN's rate, they take a fourth less time than its products for one
    model and half for six; elsewhere this was not measured. A model's columns have the same bits whatever the others
    are.
    """
    return torch.backends.mkldnn.is_available() and precision == torch.float32 and cells % PICTURES == 0


def _pictures(x: Tensor) -> Tensor:
    """(cells, n) as PICTURES of one row, (PICTURES, n, 1, cells/PICTURES): in one thread oneDNN gets no fewer."""
    return x.view(PICTURES, 1, -1, x.shape[1]).permute(0, 3, 1, 2)


def _pieces(image: Tensor, precision: torch.dtype, length: int, numbers: int) -> Iterator[tuple[slice, Tensor]]:
    """Some of an image's cells at a time, a multiple of length, and their features in another precision.

    numbers: about so many features each time
    """
    step = max(length, numbers // image.shape[1] // length * length)
    memory = image.new_empty(min(step, len(image)), image.shape[1], dtype=precision)
    for start in range(0, len(image), step):
        part = image[start : start + step]
        yield slice(start, start + len(part)), part if part.dtype == precision else memory[: len(part)].copy_(part)


def _blocks(x: Tensor) -> Tensor:
    """(cells, n) as blocks of cells, (k, cells/k, n): threads share blocks better than they share a skinny product."""
    return x.view(-1, _block(len(x)), x.shape[1])


def _block(cells: int) -> int:
    """How many of so many cells make a block."""
    return max((n for n in range(8, 33) if cells % n == 0), default=cells)
