"""A finished run as a module of PyTorch: photos to log densities, with gradients to the photos, ready for torch.export.

It computes what `TrainedModel` does, in plain operations, since the fast path has gradients for its parameters alone,
and without rounding: not of features to the precision of the store, nor of stretched photos to 8 bits.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entreg.errors import SettingError
from entreg.features.backbone import Taps
from entreg.features.grid import Axis, Grid
from entreg.features.normalisation import normalised
from entreg.features.recipe import Recipe
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import cell_of_pixel, centres
from entreg.model.mixture import log_mean
from entreg.priors.center_bias import CenterBias
from entreg.units import Size


class PhotoDensity(nn.Module):
    """Photos (B, 3, H, W), RGB, 0..255, float, of any size, to log densities (B, H, W) in nats at the same size.

    Photos are stretched to the size that the run was trained at, landscapes and portraits each to theirs. The whole is
    frozen and in eval mode; gradients flow to the photos. It can be exported with dynamic B, H and W.
    """

    def __init__(
        self, models: Sequence[DeepGaze3], recipe: Recipe, center_bias: CenterBias, landscape: Size, portrait: Size
    ) -> None:
        super().__init__()
        backbone = copy.deepcopy(recipe.backbone)
        backbone.lay_out(winograd=False)  # which has no gradient
        self.landscape, self.portrait = (
            _AtSize(models, recipe, backbone, center_bias, size) for size in (landscape, portrait)
        )
        self.eval().requires_grad_(False)

    def forward(self, photos: Tensor) -> Tensor:
        """Return the log densities. Raises a SettingError where the photos have another form."""
        if photos.ndim != 4 or photos.shape[1] != 3 or not photos.is_floating_point():
            raise SettingError(
                f"photos are float tensors (B, 3, H, W), RGB, 0..255, not {photos.dtype} {tuple(photos.shape)}"
            )
        height, width = photos.shape[-2:]
        if not isinstance(height < width, bool):  # an export with dynamic sizes keeps both
            density: Tensor = torch.cond(height < width, self.landscape, self.portrait, (photos,))
            return density
        # a square is a portrait, see `Geometry.size`
        at_size: nn.Module = self.landscape if height < width else self.portrait
        return at_size(photos)  # type: ignore[no-any-return]  # torch's modules return anything


class _AtSize(nn.Module):
    """The same for photos that are stretched to one size."""

    center_bias: Tensor
    row_cells: Tensor
    column_cells: Tensor

    def __init__(
        self, models: Sequence[DeepGaze3], recipe: Recipe, backbone: Taps, center_bias: CenterBias, size: Size
    ) -> None:
        super().__init__()
        self.backbone, self.size = backbone, size
        grid = recipe.grid(size)
        self.gather = _Gather(grid)
        self.heads = nn.ModuleList(_Head(model, grid) for model in models)
        self.register_buffer("center_bias", center_bias.map(size))
        for name, axis in (("row_cells", grid.rows), ("column_cells", grid.columns)):
            self.register_buffer(name, cell_of_pixel(axis.map_counts))

    def forward(self, photos: Tensor) -> Tensor:
        stretched = F.interpolate(photos, self.size, mode="bilinear", antialias=True, align_corners=False)
        features = self.gather(self.backbone(stretched))
        density = log_mean([head(features, self.center_bias) for head in self.heads])
        rows, columns = (
            cells[centres(len(cells), length, photos.device)]
            for cells, length in zip((self.row_cells, self.column_cells), photos.shape[-2:], strict=True)
        )
        full = density[:, rows[:, None], columns]
        return full - full.logsumexp((1, 2), keepdim=True)


class _Gather(nn.Module):
    """The taps of a batch at every cell, normalised: (B, cells, C), as `Recipe.row` stores them for one image."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        for axis, part in (("rows", grid.rows), ("columns", grid.columns)):
            for number, cells in enumerate(part.taps):
                self.register_buffer(f"{axis}_{number}", cells.clone())  # export takes no views
        self.register_buffer("weights", _shares(grid))

    def forward(self, taps: list[Tensor]) -> Tensor:
        cells = [
            tap.permute(0, 2, 3, 1)[:, getattr(self, f"rows_{number}")[:, None], getattr(self, f"columns_{number}")]
            for number, tap in enumerate(taps)
        ]
        return normalised(torch.cat(cells, -1).flatten(1, 2), self.get_buffer("weights"))


class _Head(nn.Module):
    """A model's networks and finalizer with the numbers that they have learned: features to the cells' log density."""

    def __init__(self, model: DeepGaze3, grid: Grid) -> None:
        super().__init__()
        *layers, (last, _) = model.layers()
        self.depth = len(layers)
        for number, (matrix, shift) in enumerate(layers):
            self.register_buffer(f"matrix_{number}", matrix.detach().float())
            self.register_buffer(f"shift_{number}", shift.detach().float())
        self.register_buffer("last", last.detach().float())
        for name, tensor in zip(("rows", "columns", "weight"), model.finalizer.tensors(grid), strict=True):
            self.register_buffer(name, tensor.detach().clone())
        self.register_buffer("weights", _shares(grid))
        self.register_buffer("log_pixels", _pixels(grid.rows, grid.columns).log())

    def forward(self, features: Tensor, center_bias: Tensor) -> Tensor:
        x = features  # whose normalisation is the first layer's
        for number in range(self.depth):
            x = x if number == 0 else normalised(x, self.get_buffer("weights"))
            x = F.softplus(F.linear(x, self.get_buffer(f"matrix_{number}"), self.get_buffer(f"shift_{number}")))
        rows, columns = self.get_buffer("rows"), self.get_buffer("columns")
        cells = F.linear(x, self.get_buffer("last")).reshape(-1, rows.shape[1], columns.shape[1])
        density: Tensor = rows @ cells @ columns.mT + self.get_buffer("weight") * center_bias
        return density - (density + self.get_buffer("log_pixels")).logsumexp((1, 2), keepdim=True)


def _shares(grid: Grid) -> Tensor:
    """Return the share of the readout's positions that each cell covers, also where all are equal: (cells,)."""
    counts = (grid.rows.counts[:, None] * grid.columns.counts).flatten().float()
    return counts / counts.sum()


def _pixels(rows: Axis, columns: Axis) -> Tensor:
    return (rows.map_counts[:, None] * columns.map_counts).float()
