"""Torchvision's classifiers as backbones: taps against independent computations, weights, and what is refused."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision

from entreg.config import Backbone
from entreg.errors import DataError, SettingError
from entreg.features import torchvision_backbone
from entreg.features.backbone import build
from entreg.features.recipe import Recipe
from entreg.features.vgg19 import IMAGENET_MEAN, IMAGENET_STD
from entreg.model import reference
from entreg.model.deepgaze3 import DeepGaze3
from tests.features import densenet
from tests.features.pictures import CPU

PUBLISHED = [f"features.denseblock4.denselayer{one}" for one in ("32.norm1", "32.conv1", "31.conv2")]
SMALL = Backbone(name="resnet18", taps=["layer1.0.bn2", "layer2"])


@pytest.fixture(scope="module")
def weights():
    """DenseNet-201's random weights; its batch norms also have statistics and factors that matter."""
    torch.manual_seed(0)
    state = torchvision.models.densenet201(weights=None).state_dict()
    for key, value in state.items():
        if ".norm" in key and value.is_floating_point():
            positive = "var" in key or "weight" in key
            value.copy_(torch.rand_like(value) + 0.5 if positive else 0.3 * torch.randn_like(value))
    return state


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    """Under the names that torchvision's own files have."""
    path = tmp_path_factory.mktemp("weights") / "densenet201.pth"
    torch.save({re.sub(r"(denselayer\d+\.\w+)([12])\.", r"\1.\2.", key): value for key, value in weights.items()}, path)
    return path


def halved_and_normalised(images):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (F.interpolate(images, scale_factor=0.5, mode="nearest") / 255 - mean) / std


@torch.no_grad()
@pytest.mark.parametrize(
    "readout_factor, map_factor, taps",
    [
        (4, 4, PUBLISHED),
        pytest.param(16, 2, PUBLISHED, marks=pytest.mark.slow),
        # of strides 16 and 32
        pytest.param(4, 4, ["features.denseblock3.denselayer48.conv1", PUBLISHED[0]], marks=pytest.mark.slow),
    ],
    ids=["published", "iie", "two strides"],
)
def test_densenet_is_the_published_model_at_full_resolution(weights, file, readout_factor, map_factor, taps):
    """Through backbone, grid, store's precision and readout, against every step written down plainly."""
    backbone = build(Backbone("densenet201", str(file), taps=taps), 2, ".")
    image = np.random.default_rng(1).integers(0, 256, (98, 130, 3), dtype=np.uint8)
    images = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    expected = densenet.taps(weights, halved_and_normalised(images))
    found = backbone(images)
    assert tuple(tuple(tap.shape[-2:]) for tap in found) == backbone.tap_sizes((98, 130))
    for name, tap in zip(taps, found, strict=True):
        assert (tap - expected[name]).abs().max() < 2e-5 * expected[name].abs().max(), name
    # norm1 is not yet cut off at 0
    assert expected[PUBLISHED[0]].min() < -0.1

    made_by = Recipe(backbone, readout_factor, map_factor, torch.float32)
    assert made_by.channels == sum(expected[name].shape[1] for name in taps)
    model = DeepGaze3(made_by.channels, sigma_px=3.0, seed=1)
    center_bias = torch.randn(1, 98, 130).flatten(1).log_softmax(1).view(1, 98, 130)
    grid = made_by.grid((98, 130))
    small = center_bias[:, grid.rows.center_bias[:, None], grid.columns.center_bias]
    density = model([made_by.row(image, CPU)], small, grid).full()
    plain = reference.log_density(
        model.state_dict(), [expected[name] for name in taps], center_bias, 2, readout_factor, map_factor
    )
    assert (density - plain).abs().max() < 1e-4
    # the taps matter: without them there is the centre bias alone
    without = reference.log_density(
        model.state_dict(), [0 * expected[name] for name in taps], center_bias, 2, readout_factor, map_factor
    )
    assert (without - plain).abs().max() > 1e-2


def test_the_published_taps_have_2048_channels():
    backbone = torchvision_backbone.ClassifierTaps("densenet201", PUBLISHED, 2, IMAGENET_MEAN, IMAGENET_STD)
    assert backbone.channels() == 1888 + 128 + 32 == 2048
    assert backbone.tap_sizes((768, 1024)) == ((12, 16),) * 3


@torch.no_grad()
@pytest.mark.parametrize(
    "name, taps",
    [
        # what follows the first of each writes over it in torchvision's own forward pass, and the second needs that
        ("resnet18", ["layer1.0.bn1", "layer3.1.bn1"]),
        pytest.param("densenet121", ["features.norm0", "features.norm5"], marks=pytest.mark.slow),
        pytest.param("googlenet", ["conv1.bn", "inception3a.branch1.bn"], marks=pytest.mark.slow),
        ("squeezenet1_1", ["features.3.squeeze", "features.4.squeeze"]),
    ],
)
def test_a_tap_is_what_its_layer_puts_out(name, taps):
    backbone = build(Backbone(name=name, taps=taps, seed=3), 2, ".")
    backbone.lay_out(winograd=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        model = torchvision.models.get_model(name, weights=None).eval()
    model.transform_input = name == "googlenet"
    expected, layers = {}, dict(model.named_modules())
    for tap in taps:
        layers[tap].register_forward_hook(lambda _, __, output, tap=tap: expected.update({tap: output.clone()}))
    images = torch.rand(2, 3, 96, 130, generator=torch.Generator().manual_seed(1)) * 255
    model(halved_and_normalised(images))
    for tap, found in zip(taps, backbone(images), strict=True):
        torch.testing.assert_close(found, expected[tap], rtol=1e-4, atol=1e-5)
        assert found.min() < 0  # before the ReLU


def test_colours_are_those_of_the_weights_training():
    assert torchvision_backbone.colours(Backbone(name="densenet201")) == ([*IMAGENET_MEAN], [*IMAGENET_STD])
    assert torchvision_backbone.colours(Backbone(name="efficientnet_v2_l")) == ([0.5] * 3, [0.5] * 3)


def test_random_weights_come_from_their_seed_and_are_announced(caplog):
    state = torch.get_rng_state()
    first, same, other = (build(Backbone(SMALL.name, seed=seed, taps=SMALL.taps), 1, ".") for seed in (3, 3, 4))
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()
    assert "RANDOM WEIGHTS" in caplog.text and "resnet18, seed 3" in caplog.text
    assert torch.equal(state, torch.get_rng_state())


def test_a_store_depends_on_name_taps_weights_and_colours():
    def described(name="resnet18", taps=SMALL.taps, seed=0, std=0.2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            backbone = torchvision_backbone.ClassifierTaps(name, taps, 2, [0.5] * 3, [std] * 3)
        return Recipe(backbone, 4, 4, torch.float16, convolution="winograd").describe([(64, 96)])

    one = described()
    assert one == described() and one["backbone"] == "resnet18" and one["taps"] == SMALL.taps
    assert one["convolution"] == "direct"
    for other in (described("resnet34"), described(taps=["layer2"]), described(seed=1), described(std=0.21)):
        assert other != one


@pytest.mark.parametrize(
    "name, taps, said",
    [
        ("resnet19", ["layer1"], r"model.backbone.name=resnet19: torchvision's classifiers are alexnet, .*resnet18,"),
        ("resnet18", ["layer5", "layer1"], r"(?s)'layer1'\]: \['layer5'\]; resnet18 has layer4.*others, \d+ in all\n"),
        ("resnet18", [], "none given; resnet18 has"),
        ("resnet18", ["flatten"], r"flatten of resnet18 outputs \(1, 512\)"),
        ("swin_t", ["features.1"], r"features.1 of swin_t outputs \(1, 64, 88, 96\)"),  # rows, columns, channels
        ("vit_b_32", ["encoder"], r"vit_b_32 cannot take images of \(256, 352\) pixels"),
    ],
)
def test_what_is_no_backbone_is_refused(name, taps, said):
    with pytest.raises(SettingError, match=said):
        build(Backbone(name=name, taps=taps), 2, ".")


def test_weights_may_be_a_part_of_another_model(tmp_path):
    own = build(Backbone("resnet18", taps=SMALL.taps, seed=5), 1, ".")
    state = {f"models.2.features.1.{k}": v for k, v in torchvision.models.resnet18().state_dict().items()}
    for key, value in own.layers.state_dict().items():
        state[f"models.2.features.1.{key}"].copy_(value)
    # another part has the same names, not the same shapes
    other = {f"models.0.features.1.{k}": v for k, v in torchvision.models.resnet50().state_dict().items()}
    torch.save(other | state, tmp_path / "mixture.pth")
    found = build(Backbone("resnet18", str(tmp_path / "mixture.pth"), taps=SMALL.taps), 1, ".")
    assert found.fingerprint() == own.fingerprint()


def test_weights_that_do_not_fit_are_named_key_by_key(tmp_path):
    state = torchvision.models.resnet18().state_dict()
    del state["layer1.0.bn1.bias"], state["fc.weight"]
    state["conv1.weight"] = state["conv1.weight"][:-1]
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(DataError) as error:
        build(Backbone("resnet18", str(tmp_path / "broken.pth"), taps=SMALL.taps), 1, ".")
    assert str(error.value).splitlines() == [
        f"{tmp_path}/broken.pth: is not a state dict of torchvision's resnet18:",
        "  conv1.weight has the shape (63, 3, 7, 7), and (64, 3, 7, 7) is needed",
        "  layer1.0.bn1.bias is missing",
    ]
