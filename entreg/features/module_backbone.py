"""A torch.nn.Module of another package as a backbone: its taps are the outputs of its submodules, maps or tokens."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entreg import config
from entreg.errors import SettingError, brief
from entreg.features import weights
from entreg.features.grid import downsampled
from entreg.features.rectified import Relu
from entreg.runs.foreign_code import TARGET

# two sizes, which distinguish a tap's channels from its rows and columns
PROBES = (224, 336), (336, 224)
_OF_THREAD = threading.local()  # `outputs` by tap: several threads compute features at the same time
MOST_EXTRA_TOKENS = 16  # class and register tokens, which precede those of the patches


class ModuleTaps(nn.Module):
    """A module up to its end, frozen, in eval mode: images (B, 3, H, W), RGB 0..255, to taps (B, C, h, w).

    A tap is a copy of its submodule's output, which the next one cannot change.

    settings: `module`, `taps`, `patch_px`, `mean` and `std` are read
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: config.Backbone, network: nn.Module, downsample: int) -> None:
        super().__init__()
        self.name, self.taps, self.downsample = settings.name, tuple(settings.taps), downsample
        self.patch_px = settings.patch_px
        self._made_by = sorted(settings.module.items()), settings.patch_px
        self.network = network
        self.register_buffer("mean", torch.tensor(settings.mean).view(3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(settings.std).view(3, 1, 1) * 255)
        self.eval().requires_grad_(False)
        for tap in self.taps:
            _submodule(settings, network, tap).register_forward_hook(partial(_remember, tap))
        self._shapes: dict[tuple[int, int], list[torch.Size]] = {}

    def lay_out(self, winograd: bool) -> str:
        """Return the algorithm of the convolutions; the weights stay as they are."""
        return "direct"

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the taps of images. Raises a SettingError where a tap is neither a map nor tokens."""
        rows, columns = (downsampled(n, self.downsample).to(images.device) for n in images.shape[-2:])
        x = (images[..., rows[:, None], columns] - self.mean) / self.std
        if self.patch_px is not None:
            height, width = (max(round(n / self.patch_px), 1) * self.patch_px for n in x.shape[-2:])
            x = F.interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False)
        outputs = _OF_THREAD.outputs = {}
        self.network(x)
        size = x.shape[-2], x.shape[-1]
        return [self._map(tap, outputs.get(tap), size) for tap in self.taps]

    def _map(self, tap: str, output: Any, size: tuple[int, int]) -> Tensor:
        """Return a submodule's output as a map (B, C, h, w). size: (H, W) of the images that the module received."""
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        if isinstance(output, Tensor) and output.ndim == 4 and self.patch_px is None:
            return output
        if isinstance(output, Tensor) and output.ndim == 3 and self.patch_px is not None:
            height, width = size[0] // self.patch_px, size[1] // self.patch_px
            extra = output.shape[1] - height * width
            if 0 <= extra <= MOST_EXTRA_TOKENS:
                return output[:, extra:].mT.reshape(len(output), -1, height, width)
        wanted = "maps (images, channels, rows, columns)"
        if self.patch_px is not None:
            wanted = f"tokens (images, tokens, channels), of which the last stand for patches of {self.patch_px} pixels"
        raise SettingError(
            f"model.backbone.taps: {tap} of {self.name} outputs {shape} for images of {size} pixels; a tap must be "
            f"{wanted} (model.backbone.patch_px={'null' if self.patch_px is None else self.patch_px})"
        )

    def tap_sizes(self, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Return the size (h, w) of each tap for images of `size` (H, W)."""
        return tuple((shape[2], shape[3]) for shape in self._shapes_for(size))

    def channels(self) -> int:
        """Return the number of channels of all taps together. Raises a SettingError where it varies with the size."""
        first, second = ([shape[1] for shape in self._shapes_for(probe)] for probe in PROBES)
        if first != second:
            raise SettingError(
                f"model.backbone.taps of {self.name} have {first} channels for images of {PROBES[0]} pixels and "
                f"{second} for {PROBES[1]}; a tap must be maps (images, channels, rows, columns)"
            )
        return sum(first)

    def relus(self) -> list[Relu]:
        """Return no tap: none is known to be the ReLU of another one."""
        return []

    def fingerprint(self) -> str:
        """Return the SHA-256 of the weights, of the normalisation, and of what makes the module."""
        return weights.digest_of(self, self._made_by)

    @torch.no_grad()
    def _shapes_for(self, size: tuple[int, int]) -> list[torch.Size]:
        """Return the shape of each tap for one image of `size` (H, W), which only the module itself knows."""
        if size not in self._shapes:
            try:
                taps = self(torch.zeros(1, 3, *size, device=self.mean.device))
            except (RuntimeError, AssertionError, ValueError) as error:  # such as a transformer that takes one size
                raise SettingError(
                    f"model.backbone.module: {self.name} cannot take images of {size} pixels: {brief(error)}"
                ) from error
            self._shapes[size] = [tap.shape for tap in taps]
        return self._shapes[size]


def build(settings: config.Backbone, function: Callable[[], Any], downsample: int) -> ModuleTaps:
    """Return the module that `function` makes as a backbone, see `backbone.build`.

    Raises a SettingError where it makes none, or one without these taps, and a DataError where weights do not fit.
    """
    made_by = settings.module[TARGET]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        try:
            network = function()
        except Exception as error:  # a package may raise anything
            raise SettingError(f"model.backbone.module: {made_by} says: {brief(error)}") from error
    if not isinstance(network, nn.Module):
        what = type(network).__name__
        raise SettingError(f"model.backbone.module: {made_by} returned a {what}, not a torch.nn.Module")
    if settings.weights is None:
        weights.random(f" of {made_by}, seed {settings.seed}")
    elif settings.weights == config.OWN:
        weights.log.info("backbone: %s with the weights that %s has given it", settings.name, made_by)
    else:
        state, source = weights.read(settings.name, settings.weights, Path())
        prefix = weights.fill(network, state, source, settings.name)
        weights.log.info("backbone: %s weights from %s%s", settings.name, source, f" ({prefix}*)" if prefix else "")
    return ModuleTaps(settings, network, downsample)


def _submodule(settings: config.Backbone, network: nn.Module, tap: str) -> nn.Module:
    layers: dict[str, nn.Module] = dict(network.named_modules())
    if tap not in layers or not tap:
        near = difflib.get_close_matches(tap, layers, 3, 0.3) or list(layers)[1:4]
        raise SettingError(
            f"model.backbone.taps={settings.taps}: {settings.name} has no {tap or 'tap without a name'}, but "
            f"{', '.join(near)} and others, {len(layers) - 1} in all"
        )
    return layers[tap]


def _remember(tap: str, _: nn.Module, __: Any, output: Any) -> None:
    _OF_THREAD.outputs[tap] = output.clone() if isinstance(output, Tensor) else output
