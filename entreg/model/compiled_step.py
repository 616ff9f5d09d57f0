"""Log densities, NLLs and their gradients by the compiled functions of entreg/model/step/step.c, on the CPU.

They compute what `batched_readout`, `finalizer` and `losses.nll` compute with PyTorch, one image and one model at a
time, so that the numbers stay in the cache of a core. The bits of a model depend neither on the other models nor on the
number of threads, because each image has gradients of its own, which are added up in the order of the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from entreg.features.grid import Grid
from entreg.features.rectified import Features
from entreg.model.compiled_batch import SAVED_ROWS, SAVED_STATISTICS, WIDE, CompiledBatch
from entreg.model.step_library import library


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
    models: Sequence[Sequence[Tensor]],
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
) -> list[Tensor]:
    """Return each model's log density (B, m_y, m_x), in nats. Gradients flow to the models' parameters.

    version: one of `step_library.available`
    models: the parameters of each, see `DeepGaze3.in_order`
    features: (B, cells, C) of one of `compiled_batch.TYPES`, normalised, as one tensor or as a sequence of B tensors
    center_biases: (B, m_y, m_x) for each model
    """
    flat = [tensor for model in models for tensor in model]
    if not torch.is_grad_enabled():  # within a Function tensors keep their requires_grad whatever the mode is
        flat = [tensor.detach() for tensor in flat]
    return list(_LogDensities.apply(version, features, center_biases, grid, len(models), *flat))


def image_losses(
    version: str,
    models: Sequence[Sequence[Tensor]],
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
    fixated: Fixated | None,
) -> list[tuple[Tensor, Tensor]]:
    """Return each model's NLL and what each image adds to it, (B,), in nats; see `losses.nll.nll_nats`.

    Without fixations it is the sum of the densities' entropies in place of the NLL.

    Gradients flow from the first alone to the models' parameters. They are computed together with the loss, while an
    image's features are in the cache. The other arguments are those of `log_densities`.
    """
    flat = [tensor for model in models for tensor in model]
    found = _Losses.apply(version, features, center_biases, grid, fixated, len(models), *flat)
    return list(zip(found[: len(models)], found[len(models) :], strict=True))


class _LogDensities(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        version: str,
        features: Tensor | Sequence[Features],
        center_biases: Sequence[Tensor],
        grid: Grid,
        models: int,
        *flat: Tensor,
    ) -> tuple[Tensor, ...]:
        batch = _batch(version, features, center_biases, grid, models, flat)
        if any(ctx.needs_input_grad):
            numbers = SAVED_ROWS * batch.cells.width + SAVED_STATISTICS
            batch.hold("saved", torch.empty(batch.images, models, numbers))
        shape = batch.images, batch.map.map_rows, batch.map.map_columns
        found = [torch.empty(shape) for _ in range(models)]
        batch.hold_each("log_densities", found)
        batch.run(library(version).entreg_forward)
        ctx.version, ctx.batch, ctx.shapes = version, batch, [tensor.shape for tensor in flat[: len(flat) // models]]
        ctx.save_for_backward(*found)
        ctx.set_materialize_grads(False)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        batch, functions = ctx.batch, library(ctx.version)
        ctx.batch = None
        found = zip(ctx.saved_tensors, gradients, strict=True)
        batch.hold_each("by_densities", [torch.zeros_like(one) if by is None else by.contiguous() for one, by in found])
        _hold_gradients(batch)
        batch.run(functions.entreg_backward)
        sums = batch.gradients(functions.entreg_gradients)
        of_all = [None if by is None else of_model for by, of_model in zip(gradients, sums, strict=True)]
        return None, None, None, None, None, *_cut(of_all, ctx.shapes)


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
        models: int,
        *flat: Tensor,
    ) -> tuple[Tensor, ...]:
        batch, functions = _batch(version, features, center_biases, grid, models, flat), library(version)
        if fixated is not None:
            batch.hold("first_fixations", torch.cat([fixated.counts.new_zeros(1), fixated.counts.cumsum(0)]).int())
            batch.hold("fixated", (fixated.row * batch.map.map_columns + fixated.column).int())
            batch.hold("fixation_weights", fixated.weights.float().contiguous())
        losses = batch.hold("losses", torch.empty(batch.images, models))
        _hold_gradients(batch)
        batch.run(functions.entreg_entropy if fixated is None else functions.entreg_nll)
        found = [losses[:, model].contiguous() for model in range(models)]
        ctx.save_for_backward(batch.gradients(functions.entreg_gradients))
        ctx.shapes = [tensor.shape for tensor in flat[: len(flat) // models]]
        ctx.mark_non_differentiable(*found)
        ctx.set_materialize_grads(False)
        return *(of_model.sum() for of_model in found), *found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        (sums,) = ctx.saved_tensors
        of_all = [None if by is None else by * of_model for by, of_model in zip(gradients, sums, strict=False)]
        return None, None, None, None, None, None, *_cut(of_all, ctx.shapes)


def _batch(
    version: str,
    features: Tensor | Sequence[Features],
    center_biases: Sequence[Tensor],
    grid: Grid,
    models: int,
    flat: Sequence[Tensor],
) -> CompiledBatch:
    """Return the arguments that all functions read. flat: the parameters of the models, one model after the other."""
    batch, of_each = CompiledBatch(), len(flat) // models
    batch.set_grid(grid)
    parameters = [flat[start : start + of_each] for start in range(0, len(flat), of_each)]
    batch.set_models(parameters, library(version).entreg_merge)
    batch.set_images(features, center_biases)
    return batch


def _hold_gradients(batch: CompiledBatch) -> None:
    """Point to the memory to which the gradients of each image and model are written."""
    batch.hold("by_wide", torch.empty(batch.images, batch.models, WIDE, batch.channels))
    batch.hold("by_others", torch.empty(batch.images, batch.models, batch.others))


def _cut(models: Sequence[Tensor | None], shapes: Sequence[torch.Size]) -> Iterator[Tensor | None]:
    """Yield the gradients by each parameter of each model, from those of a model in a row, (numbers) or None."""
    lengths = [shape.numel() for shape in shapes]
    for of_model in models:
        if of_model is None:
            yield from (None for _ in shapes)
        else:
            yield from (part.view(shape) for part, shape in zip(torch.split(of_model, lengths), shapes, strict=True))
