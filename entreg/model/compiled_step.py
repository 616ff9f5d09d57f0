"""Log densities and their gradients by the compiled functions of entreg/model/step/step.c, on the CPU.

They compute what `batched_readout` and `finalizer` compute with PyTorch, one image and one model at a time, whose
numbers stay in the cache of a core. A model's bits depend neither on the other models nor on the number of threads,
because each image has gradients of its own, which are added up in the images' order.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from ctypes import Structure, addressof, c_double, c_int, c_size_t, c_void_p
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from entreg.distributed.threads import in_threads
from entreg.features.grid import Grid
from entreg.model.step_library import library

# of networks.h: outputs of the widest product, and numbers of the other parameters
WIDE, PARAMETERS, SAVED_ROWS, SAVED_STATISTICS = 8, 2505, 170, 16
TYPES = {torch.float32: 0, torch.float16: 1}  # of features, and their numbers in products.h
VECTOR = 16  # rows are filled up to a multiple of it, so that they consist of whole vectors in every version
TURNS = 4  # a thread computes its images in so many turns, so that no thread waits long for another one


class ModelTensors(NamedTuple):
    """What a model's density depends on.

    wide: (8, C) the matrix of the widest product
    parameters: (2505,) the networks' other tensors, one after the other
    rows, columns: the blurs, see `Gauss.matrix`
    weight: (1,) that of the centre bias
    """

    wide: Tensor
    parameters: Tensor
    rows: Tensor
    columns: Tensor
    weight: Tensor


def log_densities(
    version: str,
    models: Sequence[ModelTensors],
    features: Tensor | Sequence[Tensor],
    center_biases: Sequence[Tensor],
    grid: Grid,
) -> list[Tensor]:
    """Return each model's log density (B, m_y, m_x), in nats. Gradients flow to the models' tensors.

    version: one of `step_library.available`
    features: (B, cells, C) of one of TYPES, normalised, as one tensor or as a sequence of B tensors
    center_biases: (B, m_y, m_x) for each model
    """
    flat = [tensor for model in models for tensor in model]
    if not torch.is_grad_enabled():  # within a Function tensors keep their requires_grad whatever the mode is
        flat = [tensor.detach() for tensor in flat]
    return list(_LogDensities.apply(version, features, center_biases, grid, *flat))


class _LogDensities(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        version: str,
        features: Tensor | Sequence[Tensor],
        center_biases: Sequence[Tensor],
        grid: Grid,
        *flat: Tensor,
    ) -> tuple[Tensor, ...]:
        of_each = len(ModelTensors._fields)
        models = [ModelTensors(*flat[start : start + of_each]) for start in range(0, len(flat), of_each)]
        batch = _Batch()
        batch.set_grid(grid)
        batch.set_models(models)
        batch.set_images(features, center_biases)
        if any(ctx.needs_input_grad):
            numbers = SAVED_ROWS * batch.cells.width + SAVED_STATISTICS
            batch.hold("saved", torch.empty(batch.images, len(models), numbers))
        found = [torch.empty(batch.images, batch.map.map_rows, batch.map.map_columns) for _ in models]
        batch.hold_each("log_densities", found)
        batch.run(library(version).entreg_forward)
        ctx.version, ctx.batch, ctx.channels = version, batch, models[0].wide.shape[1]
        ctx.save_for_backward(*found)
        ctx.set_materialize_grads(False)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        batch, functions = ctx.batch, library(ctx.version)
        ctx.batch = None
        found = zip(ctx.saved_tensors, gradients, strict=True)
        batch.hold_each("by_densities", [torch.zeros_like(one) if by is None else by.contiguous() for one, by in found])
        wide = torch.empty(batch.images, batch.models, WIDE, batch.channels)
        others = torch.empty(batch.images, batch.models, batch.others)
        batch.hold("by_wide", wide)
        batch.hold("by_others", others)
        batch.run(functions.entreg_backward)
        of_each = len(ModelTensors._fields)
        sums: list[Tensor | None] = []
        for by, *of_model in zip(gradients, _sum(wide, functions), _sum(others, functions), strict=True):
            sums += [None] * of_each if by is None else batch.gradients(*of_model, ctx.channels)
        return None, None, None, None, *sums


class _Cells(Structure):
    _fields_ = [("cells", c_int), ("width", c_int), ("positions", c_void_p), ("total", c_double)]


class _Map(Structure):
    _fields_ = [
        *((name, c_int) for name in ("rows", "columns", "wide_rows", "wide_columns")),
        *((name, c_int) for name in ("map_rows", "map_columns", "wide_map_columns")),
        *((name, c_void_p) for name in ("row_pixels", "column_pixels")),
    ]


class _Batch(Structure):
    """The arguments of the compiled functions, as step.c describes them, with the memory that they point to."""

    _fields_ = [
        ("cells", _Cells),
        ("map", _Map),
        ("type", c_int),
        ("channels", c_int),
        ("models", c_int),
        ("others", c_size_t),
        *((name, c_void_p) for name in ("features", "wide", "parameters")),
        *((name, c_void_p) for name in ("row_blurs", "column_blurs", "column_blurs_transposed", "weights")),
        *((name, c_void_p) for name in ("center_biases", "saved", "log_densities", "by_densities")),
        *((name, c_void_p) for name in ("by_wide", "by_others")),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.images = 0
        self._held: dict[str, Any] = {}

    def hold(self, name: str, tensor: Tensor) -> None:
        """Point to a contiguous tensor."""
        setattr(self, name, self._address(name, tensor))

    def hold_each(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Point to a list of pointers to contiguous tensors."""
        pointers = (c_void_p * len(tensors))(*(self._address(name, tensor) for tensor in tensors))
        self._held[name] = pointers, tensors
        setattr(self, name, addressof(pointers))

    def _address(self, name: str, tensor: Tensor) -> int:
        expected = [*TYPES][self.type] if name == "features" else torch.float32
        assert tensor.is_contiguous() and tensor.dtype == expected and tensor.device.type == "cpu", name
        self._held[name] = tensor
        return tensor.data_ptr()

    def set_grid(self, grid: Grid) -> None:
        """Describe the cells and the blurred map."""
        counts = (grid.rows.counts[:, None] * grid.columns.counts).flatten()
        pixels = [_filled_up(axis.map_counts.float()) for axis in (grid.rows, grid.columns)]
        positions = _filled_up(counts.float())
        if len(positions) // VECTOR % 2 == 0:  # rows of cells an odd number of cache lines apart, see networks.h
            positions = F.pad(positions, (0, VECTOR))
        rows, columns = len(grid.rows.counts), len(grid.columns.counts)
        map_rows, map_columns = len(grid.rows.map_counts), len(grid.columns.map_counts)
        self.cells = _Cells(len(counts), len(positions), self._address("positions", positions), counts.sum())
        self.map = _Map(
            *(rows, columns, _whole(rows), _whole(columns)),
            *(map_rows, map_columns, _whole(map_columns)),
            *(self._address(f"pixels {axis}", of_axis) for axis, of_axis in enumerate(pixels)),
        )
        self.others = PARAMETERS + map_rows * _whole(rows) + columns * _whole(map_columns) + 1

    def set_models(self, models: Sequence[ModelTensors]) -> None:
        """Copy the models' tensors one after the other."""
        wide, parameters, rows, columns, weights = (
            torch.stack([tensor.detach() for tensor in each]).float() for each in zip(*models, strict=True)
        )
        assert wide.shape[1] == WIDE and parameters.shape[1] == PARAMETERS
        self.models, self.channels = len(models), _whole(wide.shape[2])
        self.hold("wide", _filled_up(wide))
        self.hold("parameters", parameters)
        self.hold("row_blurs", rows)
        self.hold("column_blurs", _filled_up(columns))
        self.hold("column_blurs_transposed", _filled_up(columns.mT))
        self.hold("weights", weights)

    def set_images(self, features: Tensor | Sequence[Tensor], center_biases: Sequence[Tensor]) -> None:
        """Point to the images' features and to each model's centre biases."""
        self.images, self.type = len(features), TYPES[features[0].dtype]
        shape = self.images, self.map.map_rows, self.map.map_columns
        whole = [_filled_up(image) for image in features]
        assert all(image.shape == (self.cells.cells, self.channels) for image in whole)
        assert all(bias.shape == shape for bias in center_biases)
        self.hold_each("features", whole)
        self.hold_each("center_biases", [bias.contiguous() for bias in center_biases])

    def run(self, function: Callable[[Any, int, int], int]) -> None:
        """Call a compiled function, for other images in each thread."""
        step = -(-self.images // (TURNS * torch.get_num_threads()))

        def compute(first: int) -> int:
            return function(ctypes.byref(self), first, min(first + step, self.images))

        if any(in_threads(compute, range(0, self.images, step))):
            raise MemoryError("the memory for a training step")

    def gradients(self, wide: Tensor, others: Tensor, channels: int) -> Sequence[Tensor]:
        """Return the gradients by a model's tensors, see `ModelTensors`, from their sums over images, float64."""
        of_rows = self.map.map_rows, self.map.wide_rows
        of_columns = self.map.columns, self.map.wide_map_columns
        sizes: list[int] = [PARAMETERS, of_rows[0] * of_rows[1], of_columns[0] * of_columns[1], 1]
        parameters, rows, columns, weight = torch.split(others, sizes)
        rows = rows.view(of_rows)[:, : self.map.rows]
        columns = columns.view(of_columns)[:, : self.map.map_columns].mT
        return wide[:, :channels].float(), parameters, rows.float(), columns.float(), weight.float()


def _sum(terms: Tensor, functions: ctypes.CDLL) -> Iterator[Tensor]:
    """Yield for each model the sum over images of the terms (images, models, ...), float64."""
    total = torch.zeros(terms.shape[1:], dtype=torch.float64)
    functions.entreg_add(len(terms), total.numel(), terms.data_ptr(), total.data_ptr())
    yield from total


def _whole(length: int) -> int:
    """Return the length of a row that is filled up to whole vectors."""
    return -(-length // VECTOR) * VECTOR


def _filled_up(x: Tensor) -> Tensor:
    """Return x, contiguous, with zeros behind its last axis, up to whole vectors."""
    missing = _whole(x.shape[-1]) - x.shape[-1]
    return (F.pad(x, (0, missing)) if missing else x).contiguous()
