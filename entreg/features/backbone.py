"""The frozen backbone: which there are, what each must be able to do, and how one comes by its weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from entreg import config
from entreg.errors import SettingError
from entreg.features import classifier, vgg19


class Taps(Protocol):
    """A frozen network in eval mode that maps images (B, 3, H, W), RGB 0..255, to a list of taps (B, C, h, w).

    name: of the architecture; downsample: the factor by which images are made smaller first
    """

    name: str
    taps: tuple[str, ...]
    downsample: int

    def __call__(self, images: Tensor) -> list[Tensor]: ...

    def lay_out(self, winograd: bool) -> str:
        """Brings the weights into the memory formats that are fastest; tells which algorithm convolutions will use.

        winograd: whether Winograd's may be used; a backbone that has no use for it stays with `direct`
        """

    def tap_sizes(self, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """(h, w) of each tap for images of `size` (H, W)."""

    def channels(self) -> int:
        """Channels of all taps together."""

    def fingerprint(self) -> str:
        """SHA-256 of the weights up to the last tap and of the normalisation of colours."""

    def state_dict(self) -> dict[str, Tensor]: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def to(self, *arguments: object) -> nn.Module: ...


def check(settings: config.Backbone) -> None:
    """SettingError where there is no such backbone, or it has no such taps."""
    if settings.name == vgg19.NAME:
        vgg19.check(settings.taps)
    else:
        classifier.check(settings.name, settings.taps)


def check_convolution(settings: config.Backbone, hardware: config.Hardware) -> None:
    """SettingError where Winograd's algorithm is asked of a backbone that does not have it."""
    if hardware.convolution == "winograd" and settings.name != vgg19.NAME:
        raise SettingError(
            f"hardware.convolution=winograd is VGG-19's alone, and model.backbone.name is {settings.name}\n"
            "  what is best here   hardware.convolution=auto"
        )


def build(settings: config.Backbone, downsample: int, weights_folder: str) -> Taps:
    """The backbone with its weights: random, from a local file, or torchvision's by name; the log says which.

    Raises DataError where weights are missing or do not fit; the message names the alternatives.
    """
    check(settings)
    module = vgg19 if settings.name == vgg19.NAME else classifier
    return module.build(settings, downsample, Path(weights_folder))
