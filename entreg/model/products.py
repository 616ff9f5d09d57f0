"""The widest product, features times each model's matrix, and its gradient, image by image and model by model.

Each call of a library has one image and one model's matrix, in memory that begins at a multiple of ALIGNED bytes. So
its shapes, its memory and with them its bits are the same whatever the batch holds and whichever models there are.

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
ALIGNED = 64  # bytes of the widest vector, which all memory begins at that PyTorch allocates
PICTURES = 16  # that a product is cut into where it is computed as a convolution


def products(features: Tensor | Sequence[Tensor], matrices: Sequence[Tensor], precision: torch.dtype) -> list[Tensor]:
    """Features (B, cells, C) of any stored precision times each matrix (out, C): (B, cells, out) in its precision.

    features: one tensor, or a sequence of B tensors (cells, C) that need not be contiguous in memory; cast once for all
    precision: of the product's factors
    """
    # detached: matmul folds the blocks of what requires a gradient into one product again
    factors = [matrix.detach().to(precision) for matrix in matrices]
    if matrices[0].is_cuda:
        assert isinstance(features, Tensor)  # a GPU's batch is one
        cast = features.to(precision)
        return [F.linear(cast, factor).to(matrix) for factor, matrix in zip(factors, matrices, strict=True)]
    found = [matrix.new_empty(len(features), len(features[0]), len(matrix)) for matrix in matrices]
    for number, image in enumerate(features):
        convolves = _convolves(len(image), precision)
        for cells, piece in _pieces(image, precision):
            for factor, of_model in zip(factors, found, strict=True):
                own = of_model[number, cells]
                if convolves:
                    _pictures(own).copy_(F.conv2d(_pictures(piece), factor[:, :, None, None]))
                else:
                    # (out, C) @ (C, cells of a block): with few outputs this order is the faster one in all BLAS tried
                    blocks = _blocks(piece)
                    own.view(*blocks.shape[:2], -1).copy_((factor @ blocks.mT).mT)
    return found


def product_gradients(features: Tensor | Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor | list[Tensor]]:
    """Of `products` to each matrix: (out, C) of each image, in the precision of its gradient (B, cells, out)."""
    if gradients[0].is_cuda:
        assert isinstance(features, Tensor)
        cast = features.to(gradients[0])
        return [torch.bmm(gradient.mT, cast) for gradient in gradients]
    images = [
        _image_gradients(image, [gradient[number] for gradient in gradients]) for number, image in enumerate(features)
    ]
    return [[*of_model] for of_model in zip(*images, strict=True)]


def _image_gradients(image: Tensor, gradients: Sequence[Tensor]) -> list[Tensor]:
    """(out, C) of each model from (cells, C) and each (cells, out): sums of a piece or SUM blocks, then of those.

    Such sums round less than one of all cells does.
    """
    totals = [_Total(gradient, image) for gradient in gradients]
    for cells, piece in _pieces(image, gradients[0].dtype):
        for total in totals:
            total.add(cells, piece)
    return [total.finished() for total in totals]


class _Total:
    """The gradient of an image to one model's matrix, piece by piece."""

    def __init__(self, gradient: Tensor, image: Tensor) -> None:
        self._gradient = gradient.clone()  # of its own, so that memory lies as if there were no other image
        self._total = gradient.new_zeros(gradient.shape[1], image.shape[1])
        self._convolves = _convolves(len(image), gradient.dtype)
        self._part: Tensor | None = None
        self._blocks = 0

    def add(self, cells: slice, piece: Tensor) -> None:
        own = self._gradient[cells]
        if self._convolves:
            shape = [*self._total.shape, 1, 1]
            self._total += conv2d_weight(_pictures(piece), shape, _pictures(own))[:, :, 0, 0]
            return
        for left, right in zip(_blocks(own), _blocks(piece), strict=True):
            self._part = left.mT @ right if self._part is None else self._part.addmm_(left.mT, right)
            self._blocks += 1
            if self._blocks % SUM == 0:
                self._total += self._part
                self._part = None

    def finished(self) -> Tensor:
        return self._total if self._part is None else self._total.add_(self._part)


def _convolves(cells: int, precision: torch.dtype) -> bool:
    """Whether a product of so many cells is computed as one of oneDNN's convolutions.

    On an AMD processor, where MKL reaches half of oneDNN's rate, they take a fourth less time than its products for one
    model and half for six; elsewhere this was not measured.
    """
    return torch.backends.mkldnn.is_available() and precision == torch.float32 and cells % PICTURES == 0


def _pictures(x: Tensor) -> Tensor:
    """(cells, n) as PICTURES of one row, (PICTURES, n, 1, cells/PICTURES): in one thread oneDNN gets no fewer."""
    return x.view(PICTURES, 1, -1, x.shape[1]).permute(0, 3, 1, 2)


def _pieces(image: Tensor, precision: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Some of an image's cells at a time, whole pictures or blocks, and their features in another precision."""
    length, numbers = (PICTURES, 2 * PIECE) if _convolves(len(image), precision) else (_block(len(image)), PIECE)
    step = max(length, numbers // image.shape[1] // length * length)
    memory = image.new_empty(min(step, len(image)), image.shape[1], dtype=precision)
    for start in range(0, len(image), step):
        part = image[start : start + step]
        as_it_is = part.dtype == precision and part.is_contiguous() and part.data_ptr() % ALIGNED == 0
        yield slice(start, start + len(part)), part if as_it_is else memory[: len(part)].copy_(part)


def _blocks(x: Tensor) -> Tensor:
    """(cells, n) as blocks of cells, (k, cells/k, n): threads share blocks better than they share a skinny product."""
    return x.view(-1, _block(len(x)), x.shape[1])


def _block(cells: int) -> int:
    """How many of so many cells make a block."""
    return max((n for n in range(8, 33) if cells % n == 0), default=cells)
