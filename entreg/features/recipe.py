"""The recipe of features: how they are computed from images, and the layout of an image's row in a store."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from entreg.features.backbone import Taps
from entreg.features.grid import Grid, grid_of, rounds_otherwise_in_float64
from entreg.features.normalisation import normalised
from entreg.features.rectified import layout

# of the computation of rows; raise it when the code computes other numbers from the same images and settings, so that
# older stores are not reused. Stores of version 1 do not record it.
VERSION = 1

BYTES = {torch.float16: 2, torch.bfloat16: 2, torch.float32: 4}


class Images(Protocol):
    """The images that a store is built from."""

    names: list[str]
    sizes: list[tuple[int, int]]
    contents: list[str]  # a fingerprint of each image

    def read(self, i: int) -> np.ndarray:
        """Return image i: (H, W, 3), RGB 0..255."""


class Recipe:
    """How features are computed from images: backbone, factors and precisions.

    layout: which channels a store holds
    dtype: the precision of the stored features
    precision, convolution: those of the backbone, see `entreg.distributed.hardware`; `winograd` is only used where the
        backbone supports it
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
        self.layout = layout(self.channels, backbone.relus())
        self._grids: dict[tuple[int, int], Grid] = {}

    def grid(self, size: tuple[int, int]) -> Grid:
        """Return the cells of images of `size` (H, W)."""
        if size not in self._grids:
            factors = self.backbone.downsample, self.readout_factor, self.map_factor
            self._grids[size] = grid_of(size, self.backbone.tap_sizes(size), *factors)
        return self._grids[size]

    def row_bytes(self, size: tuple[int, int]) -> int:
        """Return the number of bytes of one image's row in a store."""
        return self.grid(size).cells * self.layout.width * BYTES[self.dtype]

    def uncompacted(self) -> Recipe:
        """Return the recipe of stores of earlier versions, which hold all channels."""
        recipe = copy.copy(self)
        recipe.layout = layout(self.channels, [])
        return recipe

    def describe(self, sizes: Iterable[tuple[int, int]]) -> dict[str, Any]:
        """Return what the contents of a store depend on, besides its images, which have these sizes (H, W)."""
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
        # existing stores and trainings have recorded it
        factors = self.backbone.downsample, self.readout_factor
        return 2 if rounds_otherwise_in_float64(size, self.backbone.tap_sizes(size), *factors) else 1

    @torch.inference_mode()
    def row(self, image: np.ndarray, device: torch.device) -> Tensor:
        """Return the normalised features of an image (H, W, 3), RGB 0..255, as (cells, C) on the CPU."""
        batch = torch.from_numpy(image).permute(2, 0, 1)[None].to(device).float()
        grid = self.grid((batch.shape[-2], batch.shape[-1]))
        with nullcontext() if self.precision == torch.float32 else torch.autocast(device.type, self.precision):
            taps = self.backbone(batch)
        return normalised(grid.gather([tap.float() for tap in taps]), grid.weights())[0].to(self.dtype).cpu()
