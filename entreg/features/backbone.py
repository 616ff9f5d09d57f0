"""The frozen backbone: the interface of all backbones, and building one with its weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from entreg import config
from entreg.errors import SettingError
from entreg.features import vgg19
from entreg.features.rectified import Relu
from entreg.runs import foreign_code

MODULE = "model.backbone.module"  # the setting that names code of another package


class Taps(Protocol):
    """A frozen network in eval mode that maps images (B, 3, H, W), RGB 0..255, to a list of taps (B, C, h, w).

    name: the name of the architecture
    downsample: the factor by which images are downsampled first
    """

    name: str
    taps: tuple[str, ...]
    downsample: int

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the taps of images."""

    def lay_out(self, winograd: bool) -> str:
        """Convert the weights to the fastest memory formats, and return the algorithm of the convolutions.

        winograd: whether Winograd's algorithm may be used; backbones that do not support it return `direct`
        """

    def tap_sizes(self, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Return the size (h, w) of each tap for images of `size` (H, W)."""

    def channels(self) -> int:
        """Return the number of channels of all taps together."""

    def relus(self) -> list[Relu]:
        """Return the taps that are the ReLUs of other taps."""

    def fingerprint(self) -> str:
        """Return the SHA-256 of the weights up to the last tap and of the normalisation of colours."""

    def state_dict(self) -> dict[str, Tensor]:
        """As torch.nn.Module."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """As torch.nn.Module."""

    def to(self, *arguments: Any, **keywords: Any) -> Any:
        """As torch.nn.Module."""


def check(settings: config.Backbone) -> None:
    """Raise a SettingError where the backbone does not exist or does not have these taps."""
    if settings.module:
        foreign_code.package_of(MODULE, settings.module)
    elif settings.name == vgg19.NAME:
        vgg19.check(settings.taps)
    else:
        from entreg.features import torchvision_backbone  # torchvision takes seconds to import, and VGG-19 is ours

        torchvision_backbone.check(settings.name, settings.taps)


def refuse_unallowed(settings: config.Backbone, allow: Collection[str]) -> None:
    """Raise a SettingError where the backbone is code of a package that is not allowed."""
    if settings.module:
        foreign_code.refuse_unallowed(MODULE, settings.module, allow)


def check_convolution(settings: config.Backbone, hardware: config.Hardware) -> None:
    """Raise a SettingError where Winograd's algorithm is requested for a backbone that does not support it."""
    if hardware.convolution == "winograd" and (settings.module or settings.name != vgg19.NAME):
        raise SettingError(
            f"hardware.convolution=winograd needs VGG-19, and model.backbone.name is {settings.name}\n"
            "  what is best here   hardware.convolution=auto"
        )


def build(settings: config.Backbone, downsample: int, weights_folder: str, allow: Collection[str] = ()) -> Taps:
    """Return the backbone with its weights, which are random, from a local file, or torchvision's. The log says which.

    Raises a DataError that names the alternatives where weights are missing or do not fit.

    allow: the packages whose code may be called
    """
    check(settings)
    if settings.module:
        from entreg.features import module_backbone

        function = foreign_code.resolved(MODULE, settings.module, allow)
        return module_backbone.build(settings, function, downsample)
    if settings.name == vgg19.NAME:
        return vgg19.build(settings, downsample, Path(weights_folder))
    from entreg.features import torchvision_backbone

    return torchvision_backbone.build(settings, downsample, Path(weights_folder))
