"""Any classifier of torchvision as a backbone. Its taps have the names of torchvision's feature extraction.

python -m entreg.features.torchvision_backbone densenet201      lists all names that model.backbone.taps may have
"""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
import torchvision
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from entreg import config
from entreg.errors import SettingError
from entreg.features import weights
from entreg.features.grid import downsampled
from entreg.features.rectified import Relu

# two sizes, which distinguish a tap's channels from its rows and columns
PROBES = (256, 352), (320, 288)
# torchvision's files of DenseNets use names with dots, which PyTorch no longer allows
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


class ClassifierTaps(nn.Module):
    """A classifier up to the last tap, frozen, in eval mode: images (B, 3, H, W), RGB 0..255, to taps (B, C, h, w).

    Nothing is computed in place, so a tap is the output of its layer, unchanged by the next layer. A DenseNet's
    `norm1`, for example, is the value before its ReLU, as published for DeepGaze III.

    mean, std: the mean and standard deviation of the colours, 0..1, by which images are normalised
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, taps: Sequence[str], downsample: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        check(name, taps)
        self.name, self.taps, self.downsample = name, tuple(taps), downsample
        self.layers = _extractor(name, self.taps)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255)
        self._channels_last = False
        self.eval().requires_grad_(False)

    def lay_out(self, winograd: bool) -> str:
        """Convert the weights, and images from then on, to the fastest memory format, and return the algorithm."""
        self.layers.to(memory_format=torch.channels_last)
        self._channels_last = True
        return "direct"

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the taps of images."""
        rows, columns = (downsampled(n, self.downsample).to(images.device) for n in images.shape[-2:])
        x = (images[..., rows[:, None], columns] - self.mean) / self.std
        outputs = self.layers(x.contiguous(memory_format=torch.channels_last) if self._channels_last else x)
        return [outputs[tap] for tap in self.taps]

    def tap_sizes(self, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Return the size (h, w) of each tap for images of `size` (H, W)."""
        shapes = _shapes(self.name, self.taps, (size[0] // self.downsample, size[1] // self.downsample))
        return tuple((shape[2], shape[3]) for shape in shapes)

    def channels(self) -> int:
        """Return the number of channels of all taps together."""
        return sum(shape[1] for shape in _shapes(self.name, self.taps, PROBES[0]))

    def relus(self) -> list[Relu]:
        """Return no tap: none is known to be the ReLU of another one."""
        return []

    def fingerprint(self) -> str:
        """Return the SHA-256 of the weights up to the last tap and of the normalisation."""
        return weights.digest_of(self)


def build(settings: config.Backbone, downsample: int, folder: Path) -> ClassifierTaps:
    """Return the backbone with its weights, see `backbone.build`.

    Images are normalised as for torchvision's weights of that name, or else as for the architecture's default weights.
    A file holds the classifier's state dict, which may be part of another model, under a prefix.
    """
    mean, std = colours(settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        taps = ClassifierTaps(settings.name, settings.taps, downsample, mean, std)
    if settings.weights is None:
        weights.random(f" of torchvision's {settings.name}, seed {settings.seed}")
        return taps
    state, source = weights.read(settings.name, settings.weights, folder)
    state = {OLD_DENSENET.sub(r"\1\2.", key): value for key, value in state.items()}
    prefix = weights.fill(taps.layers, state, source, f"torchvision's {settings.name}")
    weights.log.info(
        "backbone: %s weights from %s%s, images normalised by mean %s, std %s",
        settings.name,
        source,
        f" ({prefix}*)" if prefix else "",
        mean,
        std,
    )
    return taps


def colours(settings: config.Backbone) -> tuple[list[float], list[float]]:
    """Return the mean and standard deviation of each colour, 0..1, that the weights' training normalised images by."""
    known = weights.known(settings.name)
    trained = known.get(settings.weights or "") or torchvision.models.get_model_weights(settings.name).DEFAULT
    transforms = trained.transforms()
    return list(transforms.mean), list(transforms.std)


def check(name: str, taps: Sequence[str]) -> None:
    """Raise a SettingError where torchvision lacks the classifier, or a tap is not a layer that outputs maps."""
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise SettingError(f"model.backbone.name={name}: torchvision's classifiers are {', '.join(known)}")
    layers = _layers(name)
    unknown = [tap for tap in taps if not any(f"{layer}.".startswith(f"{tap}.") for layer in layers)]
    if unknown or not taps:
        near = [match for tap in unknown for match in difflib.get_close_matches(tap, layers, 3, 0.3)] or layers[1:4]
        raise SettingError(
            f"model.backbone.taps={list(taps)}: {unknown or 'none given'}; {name} has {', '.join(dict.fromkeys(near))} "
            f"and others, {len(layers)} in all\n  see them all   python -m entreg.features.torchvision_backbone {name}"
        )
    for tap, first, second in zip(taps, *(_shapes(name, tuple(taps), probe) for probe in PROBES), strict=True):
        if len(first) != 4 or first[1] != second[1]:
            raise SettingError(
                f"model.backbone.taps: {tap} of {name} outputs {first} for a photo of {PROBES[0]} pixels; "
                "a tap must be maps (images, channels, rows, columns)"
            )


@lru_cache(maxsize=8)
def _layers(name: str) -> tuple[str, ...]:
    with torch.device("meta"):
        return tuple(get_graph_node_names(_classifier(name), suppress_diff_warning=True)[1])


@lru_cache(maxsize=8)
def _skeleton(name: str, taps: tuple[str, ...]) -> fx.GraphModule:
    """Return an extractor that computes shapes only, without memory for weights."""
    with torch.device("meta"):
        return _extractor(name, taps)


@lru_cache(maxsize=256)
@torch.no_grad()
def _shapes(name: str, taps: tuple[str, ...], size: tuple[int, int]) -> tuple[tuple[int, ...], ...]:
    """Return the shape of each tap for one downsampled image of `size` (H, W)."""
    try:
        outputs = _skeleton(name, taps)(torch.zeros(1, 3, *size, device="meta"))
    except (RuntimeError, AssertionError, ValueError) as error:  # for example a transformer that only takes one size
        reason = str(error).strip().partition("\n")[0]
        raise SettingError(f"model.backbone.name={name} cannot take images of {size} pixels: {reason}") from error
    return tuple(tuple(getattr(outputs[tap], "shape", ())) for tap in taps)


def _extractor(name: str, taps: tuple[str, ...]) -> fx.GraphModule:
    extractor: fx.GraphModule = create_feature_extractor(_classifier(name), list(taps), suppress_diff_warning=True)
    extractor.eval()
    for layer in extractor.modules():
        if hasattr(layer, "inplace"):
            setattr(layer, "inplace", False)  # noqa: B010  # a plain attribute of some layers
    for node in extractor.graph.nodes:
        if node.kwargs.get("inplace"):
            node.update_kwarg("inplace", False)
    extractor.recompile()
    return extractor


def _classifier(name: str) -> nn.Module:
    with warnings.catch_warnings():
        # two of them warn that their initial weights will be drawn in another way
        warnings.simplefilter("ignore", FutureWarning)
        model: nn.Module = torchvision.models.get_model(name, weights=None).eval()
    if hasattr(model, "transform_input"):
        # torchvision's weights of the Inceptions were trained on colours in -1..1, to which the model converts them
        setattr(model, "transform_input", True)  # noqa: B010  # a plain attribute of the Inceptions
    return model


if __name__ == "__main__":
    for name in sys.argv[1:] or torchvision.models.list_models(module=torchvision.models):
        print("\n".join(_layers(name)) if sys.argv[1:] else name)
