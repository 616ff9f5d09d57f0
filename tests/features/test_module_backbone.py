"""Modules of other packages as backbones: small stand-ins for a convolutional network and a vision transformer."""

from __future__ import annotations

import copy
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entreg.config import OWN, Backbone
from entreg.errors import DataError, SettingError
from entreg.features.backbone import build
from entreg.features.recipe import Recipe

PACKAGE = __name__.partition(".")[0]


class Convolutional(nn.Module):
    """Two convolutions; the ReLU between them works in place."""

    def __init__(self, channels: int = 4, padding: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, 2, padding)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(channels, 2 * channels, 3, 2, padding)

    def forward(self, images: Tensor) -> Tensor:
        return self.second(self.relu(self.first(images))).mean((2, 3))


class Transformer(nn.Module):
    """Patches of 14 pixels with their positions as tokens, behind a class token and a register, as DINOv2 has them."""

    def __init__(self, takes: int | None = None) -> None:
        super().__init__()
        self.patches, self.blocks, self.takes = nn.Conv2d(3, 6, 14, 14), nn.ModuleList([nn.Identity()]), takes
        self.extra = nn.Parameter(torch.full((1, 2, 6), 100.0))

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[-1] == (self.takes or images.shape[-1]), "another size"
        tokens = self.patches(images).flatten(2).mT
        tokens = tokens + torch.linspace(0, 1, tokens.shape[1])[:, None]
        return self.blocks[0](torch.cat([self.extra.expand(len(images), -1, -1), tokens], 1))


def channels_last(**_: object) -> nn.Module:
    network = Convolutional()
    network.second = nn.Sequential(network.second, Last())
    return network


def no_network() -> str:
    return "network"


class Last(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1)


def settings_of(target: str, *taps: str, patch_px: int | None = None, weights: str | None = None, seed=0, **more):
    module = {"_target_": f"{__name__}.{target}", **more}
    return Backbone("standin", weights, seed, list(taps), module=module, patch_px=patch_px)


def built(*arguments, downsample=2, **keywords):
    return build(settings_of(*arguments, **keywords), downsample, ".", [PACKAGE])


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 96, 130, generator=torch.Generator().manual_seed(1)) * 255


def normalised(images: Tensor, factor: int) -> Tensor:
    settings = Backbone()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (settings.mean, settings.std))
    return (F.interpolate(images, scale_factor=1 / factor, mode="nearest") / 255 - mean) / std


@torch.no_grad()
def test_maps_are_what_the_submodules_put_out(images):
    backbone = built("Convolutional", "second", "first")
    plain = copy.deepcopy(backbone.network)
    for submodule in plain.modules():
        submodule._forward_hooks.clear()  # they tell the backbone what its own network puts out
    first = plain.first(normalised(images, 2))
    expected = plain.second(first.relu()), first
    for found, map_ in zip(backbone(images), expected, strict=True):
        torch.testing.assert_close(found, map_)
    assert first.min() < 0 and backbone.tap_sizes((96, 130)) == ((12, 17), (24, 33)) and backbone.channels() == 12


@torch.no_grad()
def test_the_tokens_of_patches_become_a_map(images):
    """96 x 130 pixels, halved to 48 x 65, are nearest to 3 x 5 patches of 14 pixels."""
    backbone = built("Transformer", "blocks.0", patch_px=14)
    small = F.interpolate(normalised(images, 2), (42, 70), mode="bilinear", antialias=True)
    (found,) = backbone(images)
    torch.testing.assert_close(found, backbone.network.patches(small) + torch.linspace(0, 1, 15).view(3, 5))
    assert backbone.tap_sizes((96, 130)) == ((3, 5),) and backbone.channels() == 6


def test_gradients_reach_the_photo_through_a_copy(images):
    """As `PhotoDensity` makes it."""
    photos = images.clone().requires_grad_()
    (tap,) = copy.deepcopy(built("Convolutional", "second"))(photos)
    tap.sum().backward()
    assert photos.grad is not None and photos.grad.abs().max() > 0


@torch.no_grad()
def test_threads_do_not_take_each_others_taps(images):
    """Both are past the first layer before either goes on, as threads that build a store can be."""
    backbone = built("Convolutional", "first", "second")
    expected = [backbone(one[None]) for one in images]
    both = threading.Barrier(2, timeout=20)

    def wait(*_: object) -> None:
        both.wait()

    backbone.network.relu.register_forward_pre_hook(wait)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda one: backbone(one[None]), images))
    for ours, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))


def test_random_weights_come_from_their_seed_and_are_announced(caplog):
    state = torch.get_rng_state()
    first, same, other = (built("Convolutional", "first", seed=seed) for seed in (3, 3, 4))
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()
    assert "RANDOM WEIGHTS" in caplog.text and "Convolutional, seed 3" in caplog.text
    assert torch.equal(state, torch.get_rng_state())


def test_a_store_depends_on_what_makes_the_module():
    """The stride of a convolution, say, is no weight."""
    one, other = (built("Transformer", "blocks.0", patch_px=14, takes=takes) for takes in (None, 0))
    assert one.fingerprint() != other.fingerprint()
    described = Recipe(one, 4, 4, torch.float16).describe([(96, 130)])
    assert (described["backbone"], described["taps"]) == ("standin", ["blocks.0"])


def test_weights_are_a_file_or_its_own(tmp_path, caplog):
    torch.manual_seed(7)
    network = Convolutional()
    file = tmp_path / "mine.pth"
    torch.save({f"backbone.{name}": value for name, value in network.state_dict().items()}, file)
    read = built("Convolutional", "first", weights=str(file))
    assert torch.equal(read.network.first.weight, network.first.weight)
    with caplog.at_level("INFO"):
        built("Convolutional", "first", weights=OWN)
    assert f"standin with the weights that {__name__}.Convolutional has given it" in caplog.text
    assert "RANDOM" not in caplog.text
    with pytest.raises(DataError, match=r"(?s)is not a state dict of standin:\n  .*has the shape \(4, 3, 3, 3\)"):
        built("Convolutional", "first", weights=str(file), channels=5)
    with pytest.raises(DataError, match="IMAGENET1K_V1 is neither a file"):
        built("Convolutional", "first", weights="IMAGENET1K_V1")


@pytest.mark.parametrize(
    "target, taps, more, said",
    [
        ("Convolutional", ["second.0"], {}, "standin has no second.0, but second"),
        ("Convolutional", [""], {}, "standin has no tap without a name, but "),
        ("Convolutional", ["first"], {"patch_px": 14}, "a tap must be tokens (images, tokens, channels), of which"),
        (
            "Transformer",
            ["blocks.0"],
            {},
            "a tap must be maps (images, channels, rows, columns) (model.backbone.patch_px",
        ),
        ("Transformer", ["blocks.0"], {"patch_px": 28}, "blocks.0 of standin outputs (1, "),
        ("channels_last", ["second"], {}, "[28] channels for images of (224, 336) pixels and [42] for"),
        (
            "Transformer",
            ["blocks.0"],
            {"patch_px": 14, "takes": 518},
            "cannot take images of (224, 336) pixels: another",
        ),
        ("Convolutional", ["first"], {"depth": 2}, "says: Convolutional.__init__() got an unexpected keyword"),
        ("no_network", ["first"], {}, "returned a str, not a torch.nn.Module"),
        ("Nothing", ["first"], {}, "cannot be imported"),
    ],
)
def test_what_is_no_backbone_is_refused(target, taps, more, said):
    with pytest.raises(SettingError, match=re.escape(said)):
        built(target, *taps, **more).channels()


def test_its_package_has_to_be_allowed():
    with pytest.raises(SettingError, match="model.backbone.module: .* is called only where you allow it"):
        build(settings_of("Convolutional", "first"), 2, ".")


@pytest.mark.parametrize(
    "option, sizes, channels",
    [("resnet50", ((6, 8), (6, 8), (3, 4)), 1024 + 512 + 2048), ("dinov2", ((7, 9),) * 2, 2 * 384)],
)
def test_the_examples_of_timm(composed, option, sizes, channels):
    """96 x 128 pixels after halving: strides of 16 and 32, or nearest to 7 x 9 patches of 14 pixels."""
    pytest.importorskip("timm", reason="pip install timm")
    name = f"deepgaze3_{'' if option == 'dinov2' else 'timm_'}{option}"
    settings = composed(f"model={name}", "model.backbone.weights=null").model.backbone
    backbone = build(Backbone(**settings), 2, ".", ["timm"])
    taps = backbone(torch.zeros(1, 3, 192, 256))
    assert [tuple(tap.shape[2:]) for tap in taps] == [*sizes] == [*backbone.tap_sizes((192, 256))]
    assert sum(tap.shape[1] for tap in taps) == channels == backbone.channels()
