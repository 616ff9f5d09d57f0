"""A fast VGG-19 and its taps (Simonyan & Zisserman 2014; taps of DeepGaze II, Kuemmerer et al. 2016)."""

from __future__ import annotations

import logging
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor, nn

from entreg import config
from entreg.errors import DataError, SettingError
from entreg.features import weights
from entreg.features.grid import downsampled
from entreg.features.rectified import Relu

log = logging.getLogger(__name__)

NAME = "vgg19"
CONVOLUTIONS = (2, 2, 4, 4, 4)
# the blocks in which Winograd's algorithm is faster: block 1 is limited by memory, and the maps of block 5 are so small
# that transforming the weights costs more than it saves
WINOGRAD_BLOCKS = "234"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Convolution(nn.Conv2d):
    """A convolution with a bias and a padding in pixels, like all of VGG-19's."""

    bias: Tensor
    padding: tuple[int, int]


class Vgg19Taps(nn.Module):
    """VGG-19 up to the last tap, frozen, in eval mode: images (B, 3, H, W), RGB 0..255, to a list of taps (B, C, h, w).

    Pooling is in ceil mode. A ReLU is in place unless its input is a tap: `conv5_1` is the value before its ReLU.
    """

    name = NAME
    mean: Tensor
    std: Tensor

    def __init__(self, taps: list[str], downsample: int) -> None:
        super().__init__()
        check(taps)
        layers = list(_layers())
        names = [name for name, _ in layers]
        last = max(names.index(tap) for tap in taps)
        self.layers = nn.Sequential(OrderedDict((name, layer()) for name, layer in layers[: last + 1]))
        for (before, _), layer in zip(layers, self.layers[1:], strict=False):
            if isinstance(layer, nn.ReLU):
                layer.inplace = before not in taps
        self._winograd: set[str] = set()
        self.taps, self.downsample = tuple(taps), downsample
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1) * 255)
        self.eval().requires_grad_(False)

    def lay_out(self, winograd: bool) -> str:
        """Convert the weights, and images from then on, to the fastest memory formats, and return the algorithm.

        winograd: whether blocks 2 to 4 use Winograd's minimal filtering F(6x6, 3x3), on the CPU in float32 (Lavin &
            Gray
            2016, arXiv 1509.09308; NNPACK's implementation, which comes with PyTorch). It needs 5 times fewer
            multiplications. It differs from the direct sum by less than 1e-5 of a tap's standard deviation (rms), where
            the rounding of float16 is 2e-4.
        """
        # this call also initialises NNPACK
        if winograd and not torch._nnpack_available():
            raise SettingError(
                "hardware.convolution=winograd: this CPU lacks what NNPACK needs (AVX2 or NEON); use direct"
            )
        self._winograd.clear()
        for name, layer in self.layers.named_children():
            if isinstance(layer, Convolution):
                by_winograd = winograd and name[len("conv")] in WINOGRAD_BLOCKS
                layer.to(memory_format=torch.contiguous_format if by_winograd else torch.channels_last)
                if by_winograd:
                    self._winograd.add(name)
        return "winograd" if winograd else "direct"

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the taps of images."""
        rows, columns = (downsampled(n, self.downsample).to(images.device) for n in images.shape[-2:])
        x = (images[..., rows[:, None], columns] - self.mean) / self.std
        if next(self.layers.parameters()).is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        outputs = {}
        for name, layer in self.layers.named_children():
            if isinstance(layer, Convolution) and name in self._winograd:
                x = _convolved_by_winograd(layer, x.contiguous())
            else:
                x = layer(x)
            if name in self.taps:
                outputs[name] = x
        return [outputs[tap] for tap in self.taps]

    def tap_sizes(self, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Return the size (h, w) of each tap for images of `size` (H, W).

        Convolutions keep the size, and pooling halves it, rounding up.
        """
        height, width = (n // self.downsample for n in size)
        sizes = {}
        for name, layer in self.layers.named_children():
            if isinstance(layer, nn.MaxPool2d):
                height, width = -(-height // 2), -(-width // 2)
            sizes[name] = (height, width)
        return tuple(sizes[tap] for tap in self.taps)

    def channels(self) -> int:
        """Return the number of channels of all taps together."""
        return sum(self._widths())

    def relus(self) -> list[Relu]:
        """Return the taps that are the ReLUs of other taps, as `relu5_1` is that of `conv5_1`."""
        widths = self._widths()
        first = dict(zip(self.taps, accumulate(widths, initial=0), strict=False))
        return [
            Relu(first[tap], first[source], width)
            for tap, width in zip(self.taps, widths, strict=True)
            if tap.startswith("relu") and (source := tap.replace("relu", "conv")) in first
        ]

    def _widths(self) -> list[int]:
        """Return the number of channels of each tap."""
        widths, width = {}, 3
        for name, layer in self.layers.named_children():
            width = layer.out_channels if isinstance(layer, Convolution) else width
            widths[name] = width
        return [widths[tap] for tap in self.taps]

    def fingerprint(self) -> str:
        """Return the SHA-256 of the weights up to the last tap."""
        return weights.digest_of(self)


def check(taps: list[str]) -> None:
    """Raise a SettingError where the taps are not layers of the backbone."""
    names = [name for name, _ in _layers()]
    unknown = [tap for tap in taps if tap not in names]
    if unknown or not taps:
        raise SettingError(f"model.backbone.taps={taps}: {unknown or 'none given'}; VGG-19 has {', '.join(names)}")


def build(settings: config.Backbone, downsample: int, folder: Path) -> Vgg19Taps:
    """Return the backbone with its weights, see `backbone.build`."""
    taps = Vgg19Taps(settings.taps, downsample)
    convolutions = [layer for layer in taps.layers if isinstance(layer, Convolution)]
    if settings.weights is None:
        generator = torch.Generator().manual_seed(settings.seed)
        for layer in convolutions:
            # He et al. 2015: the signal keeps its variance through ReLUs
            std = math.sqrt(2 / (layer.in_channels * 9))
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * std)
            layer.bias.zero_()
        weights.random("")
        return taps
    state, source = weights.read(NAME, settings.weights, folder)
    keys = sorted(
        {m[1] for key in state if (m := re.fullmatch(r"(features\.[0-9]{1,4})\.\w+", key))},
        key=lambda key: int(key[9:]),
    )
    for layer, key in zip(convolutions, keys, strict=False):
        weight, bias = state.get(f"{key}.weight"), state.get(f"{key}.bias")
        if weight is None or bias is None or not (_fits(weight, layer.weight) and _fits(bias, layer.bias)):
            raise DataError(
                f"{source}: {key} does not fit VGG-19 (the file must be a plain state dict with features.* keys and "
                "finite numbers); model.backbone.weights=FILE names another file"
            )
        layer.weight.copy_(weight.float())
        layer.bias.copy_(bias.float())
    if len(keys) < len(convolutions):
        raise DataError(
            f"{source}: it holds {len(keys)} convolutions, and the taps need {len(convolutions)} (features.* keys of "
            "VGG-19); model.backbone.weights=FILE names another file"
        )
    log.info("backbone: VGG-19 weights from %s", source)
    return taps


def _fits(stored: Tensor, wanted: Tensor) -> bool:
    """Return whether a stored tensor has the wanted shape and holds finite real numbers in memory."""
    return (
        stored.shape == wanted.shape
        and stored.layout == torch.strided
        and stored.device.type == "cpu"
        and stored.is_floating_point()
        and bool(stored.isfinite().all())
    )


def _layers() -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    """Yield the name of each layer and a function that builds it."""
    width = 3
    for block, convolutions in enumerate(CONVOLUTIONS, start=1):
        new_width = min(512, 32 * 2**block)
        for i in range(1, convolutions + 1):
            yield f"conv{block}_{i}", partial(Convolution, width, new_width, 3, padding=1)
            yield f"relu{block}_{i}", nn.ReLU
            width = new_width
        yield f"pool{block}", partial(nn.MaxPool2d, 2, ceil_mode=True)


def _convolved_by_winograd(layer: Convolution, images: Tensor) -> Tensor:
    # one image per call, because NNPACK treats several in another way, which was slower for all of VGG-19's layers
    single = images.tensor_split(len(images))
    maps = [torch._nnpack_spatial_convolution(image, layer.weight, layer.bias, layer.padding) for image in single]
    return torch.cat(maps) if len(maps) > 1 else maps[0]
