"""How features come from images, and what a row of them looks like."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from entreg.features.backbone import Taps
from entreg.features.grid import Grid, grid_of, rounds_otherwise_in_float64
from entreg.numerics import normalised

# of how rows are computed: to be raised when the code makes other numbers of the same images and settings, so that
# older stores are not taken for its own. Stores of the first version do not name it.
VERSION = 1

BYTES = {torch.float16: 2, torch.bfloat16: 2, torch.float32: 4}


class Images(Protocol):
    """What a store is built from."""

    names: list[str]
    sizes: list[tuple[int, int]]
    contents: list[str]  # a fingerprint of each image

    def read(self, i: int) -> np.ndarray:
        """(H, W, 3), RGB 0..255."""


class Recipe:
    """How features come from images: backbone, factors, precisions. It fixes what a row looks like.

    dtype: what is stored; precision, convolution: of the backbone's products, see `entreg.run.hardware`; `winograd`
        is used where the backbone has it
    """

    def __init__(
        self,
        backbone: Taps,
        readout_factor: int,
        map_factor: int,
        dtype: torch.dtype,
        precision: torch.dtype = torch.float32,
        convolution: str = "direct",
    ) -> None:
        self.backbone, self.readout_factor, self.map_factor = backbone, readout_factor, map_factor
        self.dtype, self.precision = dtype, precision
        self.convolution = backbone.lay_out(winograd=convolution == "winograd")
        self.weights_sha256, self.channels = backbone.fingerprint(), backbone.channels()
        self._grids: dict[tuple[int, int], Grid] = {}

    def grid(self, size: tuple[int, int]) -> Grid:
        """The cells of images of `size` (H, W)."""
        if size not in self._grids:
            factors = self.backbone.downsample, self.readout_factor, self.map_factor
            self._grids[size] = grid_of(size, self.backbone.tap_sizes(size), *factors)
        return self._grids[size]

    def row_bytes(self, size: tuple[int, int]) -> int:
        """Bytes of one image's features."""
        return self.grid(size).cells * self.channels * BYTES[self.dtype]

    def describe(self, sizes: Iterable[tuple[int, int]]) -> dict[str, Any]:
        """What the contents of a store depend on, beside the images, which have these sizes (H, W)."""
        return {
            "backbone": self.backbone.name,
            "weights_sha256": self.weights_sha256,
            "taps": list(self.backbone.taps),
            "downsample": self.backbone.downsample,
            "readout_factor": self.readout_factor,
            "dtype": str(self.dtype),
            "backbone_precision": str(self.precision),
            "convolution": self.convolution,
            "layout": max(map(self._layout, set(sizes)), default=1),
        } | ({} if VERSION == 1 else {"version": VERSION})

    def _layout(self, size: tuple[int, int]) -> int:
        # stores and trainings that are there have recorded it
        factors = self.backbone.downsample, self.readout_factor
        return 2 if rounds_otherwise_in_float64(size, self.backbone.tap_sizes(size), *factors) else 1

    @torch.inference_mode()
    def row(self, image: np.ndarray, device: torch.device) -> Tensor:
        """(cells, C) normalised features of an image (H, W, 3), RGB 0..255, as stored, on the CPU."""
        batch = torch.from_numpy(image).permute(2, 0, 1)[None].to(device).float()
        grid = self.grid((batch.shape[-2], batch.shape[-1]))
        with nullcontext() if self.precision == torch.float32 else torch.autocast(device.type, self.precision):
            taps = self.backbone(batch)
        return normalised(grid.gather([tap.float() for tap in taps]), grid.weights())[0].to(self.dtype).cpu()
