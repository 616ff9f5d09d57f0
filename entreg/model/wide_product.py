"""The widest product, features times each model's matrix, and its gradient, image by image and model by model.

Each call of a library has one image and one model's matrix, in memory that begins at a multiple of ALIGNED bytes. Its
shapes, its memory and therefore its bits are the same for every batch and every number of models.

Features are cast to the product's precision some cells at a time, into memory that is reused, so that the cast copy
stays in the cache of a core. A copy of a whole image would not, and threads that write such copies wait for each other:
two of them were hardly faster than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from entreg.features.rectified import Features, Rectified

PIECE = 1 << 19  # numbers that a thread casts at a time, 2 MB of float32; twice as many for a convolution
SUM = 16  # blocks of cells whose products are summed one after the other
ALIGNED = 64  # bytes of the widest vector, to which PyTorch aligns the memory that it allocates
PICTURES = 16  # pictures that a product is cut into where it is computed as a convolution


def products(features: Tensor | Sequence[Features], matrices: Sequence[Tensor], precision: torch.dtype) -> list[Tensor]:
    """Return the features times each matrix (out, C): (B, cells, out) in the matrix's precision.

    features: (B, cells, C) of any stored precision, as one tensor or as a sequence of B times (cells, C), which need
        not be contiguous in memory; they are cast once for all matrices
    precision: the precision of the product's factors
    """
    # detached, because matmul would fold the blocks of tensors that require a gradient into one product
    factors = [matrix.detach().to(precision) for matrix in matrices]
    if matrices[0].is_cuda:
        assert isinstance(features, Tensor)  # a batch on a GPU is one tensor
        cast = features.to(precision)
        return [F.linear(cast, factor).to(matrix) for factor, matrix in zip(factors, matrices, strict=True)]
    outputs = [matrix.new_empty(len(features), len(features[0]), len(matrix)) for matrix in matrices]
    for number, image in enumerate(features):
        convolves = _convolves(len(image), precision)
        for cells, piece in _pieces(image, precision):
            for factor, output in zip(factors, outputs, strict=True):
                target = output[number, cells]
                if convolves:
                    _pictures(target).copy_(F.conv2d(_pictures(piece), factor[:, :, None, None]))
                else:
                    # (out, C) @ (C, cells of a block): with few outputs this order was faster in all BLAS libraries
                    blocks = _blocks(piece)
                    target.view(*blocks.shape[:2], -1).copy_((factor @ blocks.mT).mT)
    return outputs


def product_gradients(
    features: Tensor | Sequence[Features], gradients: Sequence[Tensor]
) -> list[Tensor | list[Tensor]]:
    """Return the gradients of `products` with respect to each matrix: (out, C) for each image.

    gradients: (B, cells, out) for each matrix, whose precision the results have
    """
    if gradients[0].is_cuda:
        assert isinstance(features, Tensor)
        cast = features.to(gradients[0])
        return [torch.bmm(gradient.mT, cast) for gradient in gradients]
    images = [
        _image_gradients(image, [gradient[number] for gradient in gradients]) for number, image in enumerate(features)
    ]
    return [[*of_model] for of_model in zip(*images, strict=True)]


def _image_gradients(image: Features, gradients: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient (out, C) of each model from an image (cells, C) and each gradient (cells, out).

    Cells are summed over a piece or SUM blocks, and then these sums are added, which rounds less than one long sum.
    """
    totals = [_Total(gradient, image) for gradient in gradients]
    for cells, piece in _pieces(image, gradients[0].dtype):
        for total in totals:
            total.add(cells, piece)
    return [total.finished() for total in totals]


class _Total:
    """The gradient with respect to one model's matrix for one image, summed piece by piece."""

    def __init__(self, gradient: Tensor, image: Features) -> None:
        self._gradient = gradient.clone()  # so that its memory is aligned as if there were no other image
        self._total = gradient.new_zeros(gradient.shape[1], image.shape[1])
        self._convolves = _convolves(len(image), gradient.dtype)
        self._part: Tensor | None = None
        self._blocks = 0

    def add(self, cells: slice, piece: Tensor) -> None:
        gradient = self._gradient[cells]
        if self._convolves:
            shape = [*self._total.shape, 1, 1]
            added = conv2d_weight(_pictures(piece), shape, _pictures(gradient))  # type: ignore[no-untyped-call]  # torch
            self._total += added[:, :, 0, 0]
            return
        for left, right in zip(_blocks(gradient), _blocks(piece), strict=True):
            self._part = left.mT @ right if self._part is None else self._part.addmm_(left.mT, right)
            self._blocks += 1
            if self._blocks % SUM == 0:
                self._total += self._part
                self._part = None

    def finished(self) -> Tensor:
        return self._total if self._part is None else self._total.add_(self._part)


def _convolves(cells: int, precision: torch.dtype) -> bool:
    """Return whether a product of so many cells is computed as a convolution of oneDNN's.

    On an AMD processor, where MKL reaches half of oneDNN's rate, convolutions take a fourth less time than MKL's
    products for one model, and half the time for six. This was not measured elsewhere.
    """
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch
    return bool(has_onednn) and precision == torch.float32 and cells % PICTURES == 0


def _pictures(x: Tensor) -> Tensor:
    """Return (cells, n) as PICTURES of one row, (PICTURES, n, 1, cells/PICTURES), as convolutions take them."""
    return x.view(PICTURES, 1, -1, x.shape[1]).permute(0, 3, 1, 2)


def _pieces(image: Features, precision: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Yield some of an image's cells at a time, in whole pictures or blocks, with their cast features."""
    length, numbers = (PICTURES, 2 * PIECE) if _convolves(len(image), precision) else (_block(len(image)), PIECE)
    step = max(length, numbers // image.shape[1] // length * length)
    memory = torch.empty(min(step, len(image)), image.shape[1], dtype=precision)
    for start in range(0, len(image), step):
        part = image[start : start + step]
        cells = slice(start, start + len(part))
        if isinstance(part, Rectified):
            yield cells, part.write(memory[: len(part)])
        else:
            as_it_is = part.dtype == precision and part.is_contiguous() and part.data_ptr() % ALIGNED == 0
            yield cells, part if as_it_is else memory[: len(part)].copy_(part)


def _blocks(x: Tensor) -> Tensor:
    """Return (cells, n) as blocks of cells, (k, cells/k, n)."""
    return x.view(-1, _block(len(x)), x.shape[1])


def _block(cells: int) -> int:
    """Return the number of cells in a block."""
    return max((n for n in range(8, 33) if cells % n == 0), default=cells)
