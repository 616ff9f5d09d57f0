"""The arguments of the compiled functions of entreg/model/step/step.c, with the memory that they point to."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import Structure, addressof, c_double, c_int, c_size_t, c_void_p
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from entreg.distributed.threads import in_threads
from entreg.features.grid import Grid
from entreg.features.rectified import Block, Features, Rectified, full

# of networks.h: outputs of the widest product, and numbers of the other parameters
WIDE, PARAMETERS, SAVED_ROWS, SAVED_STATISTICS = 8, 2505, 170, 16
TYPES = {torch.float32: 0, torch.float16: 1}  # of features, and their numbers in products.h
VECTOR = 16  # rows are filled up to a multiple of it, so that they consist of whole vectors in every version
PIECE = 512  # of step.c: channels whose products are summed in float32
TURNS = 4  # a thread computes its images in so many turns, so that no thread waits long for another one


class ModelTensors(NamedTuple):
    """What a model's density depends on.

    wide: (8, C) the matrix of the widest product
    parameters: (2505,) the networks' other tensors, one after the other
    rows, columns: the blurs, see `blur_matrix`
    weight: (1,) that of the centre bias
    """

    wide: Tensor
    parameters: Tensor
    rows: Tensor
    columns: Tensor
    weight: Tensor


_INTEGERS = {"first_fixations": torch.int32, "fixated": torch.int32}  # what is no floating point number


class _Cells(Structure):
    _fields_ = [("cells", c_int), ("width", c_int), ("positions", c_void_p), ("total", c_double)]


class _Map(Structure):
    _fields_ = [
        *((name, c_int) for name in ("rows", "columns", "wide_rows", "wide_columns")),
        *((name, c_int) for name in ("map_rows", "map_columns", "wide_map_columns")),
        *((name, c_void_p) for name in ("row_pixels", "column_pixels")),
    ]


class _Block(Structure):
    _fields_ = [(name, c_int) for name in Block._fields]


class CompiledBatch(Structure):
    """The arguments of the compiled functions, as step.c describes them, with the memory that they point to."""

    _fields_ = [
        ("cells", _Cells),
        ("map", _Map),
        ("type", c_int),
        *((name, c_int) for name in ("channels", "stored", "blocks", "models")),
        ("others", c_size_t),
        *((name, c_void_p) for name in ("block", "features", "floors", "wide", "parameters")),
        *((name, c_void_p) for name in ("row_blurs", "column_blurs", "column_blurs_transposed", "weights")),
        *((name, c_void_p) for name in ("center_biases", "saved", "log_densities", "by_densities")),
        *((name, c_void_p) for name in ("by_wide", "by_others")),
        *((name, c_void_p) for name in ("first_fixations", "fixated", "fixation_weights", "losses")),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.images = 0
        self._held: dict[str, Any] = {}

    def hold(self, name: str, tensor: Tensor) -> Tensor:
        """Point to a contiguous tensor, and return it."""
        setattr(self, name, self._address(name, tensor))
        return tensor

    def hold_each(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Point to a list of pointers to contiguous tensors."""
        pointers = (c_void_p * len(tensors))(*(self._address(name, tensor) for tensor in tensors))
        self._held[name] = pointers, tensors
        setattr(self, name, addressof(pointers))

    def _address(self, name: str, tensor: Tensor) -> int:
        expected = {"features": [*TYPES][self.type], **_INTEGERS}.get(name, torch.float32)
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

    def set_images(self, features: Tensor | Sequence[Features], center_biases: Sequence[Tensor]) -> None:
        """Point to the images' features, after `set_models`, and to each model's centre biases."""
        self.images, self.type = len(features), TYPES[features[0].dtype]
        shape = self.images, self.map.map_rows, self.map.map_columns
        assert all(bias.shape == shape for bias in center_biases)
        self.hold_each("center_biases", [bias.contiguous() for bias in center_biases])
        compact = [image for image in features if isinstance(image, Rectified) and _sums_alike(image.blocks)]
        if compact:
            stored, blocks = [image.stored for image in compact], compact[0].blocks
            self.hold("floors", torch.stack([image.floor for image in compact]).float())
        else:
            stored, blocks = [_filled_up(full(image)) for image in features], (Block(0, self.channels, 0, False),)
        self.stored, self.blocks = stored[0].shape[1], len(blocks)
        assert len(stored) == self.images and blocks[-1].end == self.channels
        assert all(image.shape == (self.cells.cells, self.stored) for image in stored)
        self.hold_each("features", stored)
        self._held["block"] = (_Block * len(blocks))(*(_Block(*block) for block in blocks))
        self.block = addressof(self._held["block"])

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


def _sums_alike(blocks: Sequence[Block]) -> bool:
    """Return whether the compiled functions can read these blocks, to the bits that they have from all channels.

    They read whole vectors, and begin a sum in float32 with each block, but of all channels only at multiples of PIECE.
    Else a training would go on to other bits where a store of an earlier version, with all channels, is replaced.
    """
    return not any(block.start % PIECE or place % VECTOR for block in blocks for place in (block.end, block.source))


def _whole(length: int) -> int:
    """Return the length of a row that is filled up to whole vectors."""
    return -(-length // VECTOR) * VECTOR


def _filled_up(x: Tensor) -> Tensor:
    """Return x, contiguous, with zeros behind its last axis, up to whole vectors."""
    missing = _whole(x.shape[-1]) - x.shape[-1]
    return (F.pad(x, (0, missing)) if missing else x).contiguous()
