"""Log densities, NLLs and their gradients by the compiled functions of entreg/model/step/step.c, on the CPU.

They compute what `batched_readout`, `finalizer` and `losses.nll` compute with PyTorch, one image and one model at a
time, so that the numbers stay in the cache of a core. The bits of a model depend neither on the other models nor on the
number of threads, because each image has gradients of its own, which are added up in the order of the images.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from entreg.features.grid import Grid
from entreg.features.rectified import Features
from entreg.model.compiled_batch import SAVED_ROWS, SAVED_STATISTICS, WIDE, CompiledBatch, ModelTensors
from entreg.model.step_library import library

OF_EACH = len(ModelTensors._fields)


class Fixated(NamedTuple):
    """The fixations on the images of a batch, image by image.

    counts: (B,) integers, how many there are on each image; row, column: (n,) integers, their pixels of the map
    weights: (B, models) what a fixation on each image counts in each model's NLL
    """

    counts: Tensor
    row: Tensor
    column: Tensor
    weights: Tensor


def log_densities(
    version: str,
    models: Sequence[ModelTensors],
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
) -> list[Tensor]:
    """Return each model's log density (B, m_y, m_x), in nats. Gradients flow to the models' tensors.

    version: one of `step_library.available`
    features: (B, cells, C) of one of `compiled_batch.TYPES`, normalised, as one tensor or as a sequence of B tensors
    center_biases: (B, m_y, m_x) for each model
    """
    flat = [tensor for model in models for tensor in model]
    if not torch.is_grad_enabled():  # within a Function tensors keep their requires_grad whatever the mode is
        flat = [tensor.detach() for tensor in flat]
    return list(_LogDensities.apply(version, features, center_biases, grid, *flat))


def image_losses(
    version: str,
    models: Sequence[ModelTensors],
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
    fixated: Fixated | None,
) -> list[tuple[Tensor, Tensor]]:
    """Return each model's NLL and what each image adds to it, (B,), in nats; see `losses.nll.nll_nats`.

    Without fixations it is the sum of the densities' entropies in place of the NLL.

    Gradients flow from the first alone to the models' tensors. They are computed together with the loss, while an
    image's features are in the cache. The other arguments are those of `log_densities`.
    """
    flat = [tensor for model in models for tensor in model]
    found = _Losses.apply(version, features, center_biases, grid, fixated, *flat)
    return list(zip(found[: len(models)], found[len(models) :], strict=True))


class _LogDensities(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        version: str,
        features: Tensor | Sequence[Features],
        center_biases: Sequence[Tensor],
        grid: Grid,
        *flat: Tensor,
    ) -> tuple[Tensor, ...]:
        batch = _batch(features, center_biases, grid, flat)
        if any(ctx.needs_input_grad):
            numbers = SAVED_ROWS * batch.cells.width + SAVED_STATISTICS
            batch.hold("saved", torch.empty(batch.images, batch.models, numbers))
        shape = batch.images, batch.map.map_rows, batch.map.map_columns
        found = [torch.empty(shape) for _ in range(batch.models)]
        batch.hold_each("log_densities", found)
        batch.run(library(version).entreg_forward)
        ctx.version, ctx.batch, ctx.channels = version, batch, flat[0].shape[1]
        ctx.save_for_backward(*found)
        ctx.set_materialize_grads(False)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        batch, functions = ctx.batch, library(ctx.version)
        ctx.batch = None
        found = zip(ctx.saved_tensors, gradients, strict=True)
        batch.hold_each("by_densities", [torch.zeros_like(one) if by is None else by.contiguous() for one, by in found])
        terms = _hold_gradients(batch)
        batch.run(functions.entreg_backward)
        sums: list[Tensor | None] = []
        for by, of_model in zip(gradients, _sums(batch, functions, ctx.channels, *terms), strict=True):
            sums += [None] * OF_EACH if by is None else of_model
        return None, None, None, None, *sums


class _Losses(torch.autograd.Function):
    """The NLL where fixations are given, else the entropy."""

    @staticmethod
    def forward(
        ctx: Any,
        version: str,
        features: Tensor | Sequence[Features],
        center_biases: Sequence[Tensor],
        grid: Grid,
        fixated: Fixated | None,
        *flat: Tensor,
    ) -> tuple[Tensor, ...]:
        batch, functions = _batch(features, center_biases, grid, flat), library(version)
        if fixated is not None:
            batch.hold("first_fixations", torch.cat([fixated.counts.new_zeros(1), fixated.counts.cumsum(0)]).int())
            batch.hold("fixated", (fixated.row * batch.map.map_columns + fixated.column).int())
            batch.hold("fixation_weights", fixated.weights.float().contiguous())
        losses = batch.hold("losses", torch.empty(batch.images, batch.models))
        terms = _hold_gradients(batch)
        batch.run(functions.entreg_entropy if fixated is None else functions.entreg_nll)
        found = [losses[:, model].contiguous() for model in range(batch.models)]
        ctx.save_for_backward(
            *(tensor for of_model in _sums(batch, functions, flat[0].shape[1], *terms) for tensor in of_model)
        )
        ctx.mark_non_differentiable(*found)
        ctx.set_materialize_grads(False)
        return *(of_model.sum() for of_model in found), *found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        found = zip((by for by in gradients for _ in range(OF_EACH)), ctx.saved_tensors, strict=False)
        return None, None, None, None, None, *(None if by is None else by * tensor for by, tensor in found)


def _batch(
    features: Tensor | Sequence[Features], center_biases: Sequence[Tensor], grid: Grid, flat: Sequence[Tensor]
) -> CompiledBatch:
    """Return the arguments that all functions read. flat: the fields of the models, one model after the other."""
    batch = CompiledBatch()
    batch.set_grid(grid)
    batch.set_models([ModelTensors(*flat[start : start + OF_EACH]) for start in range(0, len(flat), OF_EACH)])
    batch.set_images(features, center_biases)
    return batch


def _hold_gradients(batch: CompiledBatch) -> tuple[Tensor, Tensor]:
    """Return the memory to which the gradients of each image and model are written."""
    wide = batch.hold("by_wide", torch.empty(batch.images, batch.models, WIDE, batch.channels))
    return wide, batch.hold("by_others", torch.empty(batch.images, batch.models, batch.others))


def _sums(
    batch: CompiledBatch, functions: ctypes.CDLL, channels: int, wide: Tensor, others: Tensor
) -> Iterator[Sequence[Tensor]]:
    """Yield for each model the gradients by its tensors, of all images together."""
    for of_model in zip(_sum(wide, functions), _sum(others, functions), strict=True):
        yield batch.gradients(*of_model, channels)


def _sum(terms: Tensor, functions: ctypes.CDLL) -> Iterator[Tensor]:
    """Yield for each model the sum over images of the terms (images, models, ...), float64."""
    total = torch.zeros(terms.shape[1:], dtype=torch.float64)
    functions.entreg_add(len(terms), total.numel(), terms.data_ptr(), total.data_ptr())
    yield from total
