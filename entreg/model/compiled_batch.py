"""The arguments of the compiled functions of entreg/model/step/, with the memory that they point to."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import Structure, addressof, c_double, c_int, c_size_t, c_void_p
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from entreg.distributed.threads import in_threads
from entreg.features.grid import Grid
from entreg.features.rectified import Block, Features, Rectified, full

# of networks.h: outputs of the widest product, and numbers of the other parameters
WIDE, PARAMETERS, SAVED_ROWS, SAVED_STATISTICS = 8, 2505, 170, 16
# of parameters.h, those that are learned beside the widest layer: the numbers above but for the first shift, scale and
# shift of 8 + 16 + 1 + 128 normalised inputs, sigma and weight
OTHERS = PARAMETERS - WIDE + 2 * (8 + 16 + 1 + 128) + 2
TYPES = {torch.float32: 0, torch.float16: 1}  # of features, and their numbers in products.h
VECTOR = 16  # rows are filled up to a multiple of it, so that they consist of whole vectors in every version
PIECE = 512  # of widest_product.h: channels whose products are summed in float32
Function = Callable[[Any, Any], int]  # a compiled one


# what is no floating point number
_INTEGERS = dict.fromkeys(["first_fixations", "fixated", "row_cells", "column_cells"], torch.int32)

_OF_AXES = "row_pixels", "column_pixels", "row_cells", "column_cells"


class _Cells(Structure):
    _fields_ = [("cells", c_int), ("width", c_int), ("positions", c_void_p), ("total", c_double)]


class _Map(Structure):
    _fields_ = [
        *((name, c_int) for name in ("rows", "columns", "wide_rows", "wide_columns")),
        *((name, c_int) for name in ("map_rows", "map_columns", "wide_map_columns")),
        *((name, c_void_p) for name in _OF_AXES),
    ]


class _Block(Structure):
    _fields_ = [(name, c_int) for name in Block._fields]


class CompiledBatch(Structure):
    """The arguments of the compiled functions, as batch.h describes them, with the memory that they point to."""

    _fields_ = [
        ("cells", _Cells),
        ("map", _Map),
        ("type", c_int),
        *((name, c_int) for name in ("inputs", "channels", "stored", "blocks", "images", "models")),
        ("others", c_size_t),
        *((name, c_void_p) for name in ("block", "features", "floors", "learned", "by_learned", "wide", "parameters")),
        *((name, c_void_p) for name in ("row_blurs", "column_blurs", "column_blurs_transposed", "weights")),
        *((name, c_void_p) for name in ("center_biases", "saved", "log_densities", "by_densities")),
        *((name, c_void_p) for name in ("by_wide", "by_others")),
        *((name, c_void_p) for name in ("first_fixations", "fixated", "fixation_weights", "losses")),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[str, Any] = {}

    def hold(self, name: str, tensor: Tensor) -> Tensor:
        """Point to a contiguous tensor, and return it."""
        setattr(self, name, self._address(name, tensor))
        return tensor

    def hold_each(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Point to a list of pointers to contiguous tensors."""
        self._point(name, [self._address(name, tensor) for tensor in tensors], tensors)

    def _point(self, name: str, addresses: Sequence[int], tensors: Sequence[Tensor]) -> None:
        pointers = (c_void_p * len(addresses))(*addresses)
        self._held[name] = pointers, tensors
        setattr(self, name, addressof(pointers))

    def _address(self, name: str, tensor: Tensor) -> int:
        expected = {"features": [*TYPES][self.type], **_INTEGERS}.get(name, torch.float32)
        assert tensor.is_contiguous() and tensor.dtype == expected and tensor.device.type == "cpu", name
        self._held[name] = tensor
        return tensor.data_ptr()

    def set_grid(self, grid: Grid) -> None:
        """Describe the cells and the blurred map."""
        positions, total, axes = _described(grid)
        rows, columns = len(grid.rows.counts), len(grid.columns.counts)
        map_rows, map_columns = len(grid.rows.map_counts), len(grid.columns.map_counts)
        self.cells = _Cells(rows * columns, len(positions), self._address("positions", positions), total)
        self.map = _Map(
            *(rows, columns, _whole(rows), _whole(columns)),
            *(map_rows, map_columns, _whole(map_columns)),
            *(self._address(*of_axis) for of_axis in zip(_OF_AXES, axes, strict=True)),
        )
        self.others = PARAMETERS + map_rows * _whole(rows) + columns * _whole(map_columns) + 1

    def set_models(self, models: Sequence[Sequence[Tensor]], merge: Function) -> None:
        """Copy the models' parameters, in the order of parameters.h, and compute what the other functions read.

        merge: the compiled function `entreg_merge`
        """
        learned = torch.stack([torch.cat([tensor.detach().flatten() for tensor in each]) for each in models]).float()
        self.models, self.inputs = len(models), len(models[0][0])
        self.channels = _whole(self.inputs)
        assert learned.shape[1] == 2 * self.inputs + (self.inputs + 1) * WIDE + OTHERS
        axes = self.map
        shapes = {
            "wide": (WIDE, self.channels),
            "parameters": (PARAMETERS,),
            "row_blurs": (axes.map_rows, axes.rows),
            "column_blurs": (axes.map_columns, axes.wide_columns),
            "column_blurs_transposed": (axes.columns, axes.wide_map_columns),
            "weights": (1,),
        }
        self.hold("learned", learned)
        for name, shape in shapes.items():
            self.hold(name, torch.zeros(self.models, *shape))
        self._run(merge, self.models)

    def set_images(self, features: Tensor | Sequence[Features], center_biases: Sequence[Tensor]) -> None:
        """Point to the images' features, after `set_models`, and to each model's centre biases."""
        self.images, self.type = len(features), TYPES[features[0].dtype]
        shape = self.images, self.map.map_rows, self.map.map_columns
        assert all(bias.shape == shape for bias in center_biases)
        biases = [bias if bias[0].is_contiguous() else bias.contiguous() for bias in center_biases]
        of_first = [(self._address("center_biases", bias[0]), bias.stride(0) * 4) for bias in biases]
        self._point("center_biases", [first + k * step for first, step in of_first for k in range(self.images)], biases)
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

    def run(self, function: Function) -> None:
        """Call a compiled function, whose threads share the images."""
        self._run(function, self.images)

    def gradients(self, function: Function) -> Tensor:
        """Return the gradients by each model's parameters, (models, numbers) in their order, of all images together.

        function: the compiled function `entreg_gradients`
        """
        found = self.hold("by_learned", torch.empty_like(self._held["learned"]))
        self._run(function, self.models)
        return found

    def _run(self, function: Function, count: int) -> None:
        """Call a compiled function in each thread, which all begin images or models, of which there are `count`."""
        begun = c_int(0)
        threads = range(min(torch.get_num_threads(), count))

        def compute(_: int) -> int:
            return function(ctypes.byref(self), ctypes.byref(begun))

        if any(in_threads(compute, threads) if len(threads) > 1 else map(compute, threads)):
            raise MemoryError("the memory for a training step")


@lru_cache(maxsize=64)
def _described(grid: Grid) -> tuple[Tensor, float, list[Tensor]]:
    """Return how many positions each cell covers, a row filled up, their sum, and _OF_AXES of the blurred map."""
    counts = (grid.rows.counts[:, None] * grid.columns.counts).flatten()
    positions = _filled_up(counts.float())
    if len(positions) // VECTOR % 2 == 0:  # rows of cells an odd number of cache lines apart, see networks.h
        positions = F.pad(positions, (0, VECTOR))
    pixels = (_filled_up(axis.map_counts.float()) for axis in (grid.rows, grid.columns))
    return positions, float(counts.sum()), [*pixels, grid.rows.map_cells.int(), grid.columns.map_cells.int()]


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
