"""VGG-19's taps against torchvision's layers, and weights that are missing or do not fit."""

import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from entreg.config import Backbone
from entreg.errors import DataError, SettingError
from entreg.features.backbone import build
from entreg.features.vgg19 import IMAGENET_MEAN, IMAGENET_STD, Vgg19Taps

TAPS = ["conv5_1", "relu5_1", "relu5_2", "conv5_3", "relu5_4"]
# the indices of these layers in torchvision's `features`
INDICES = [28, 29, 31, 32, 35]


@pytest.fixture(scope="module")
def features():
    torch.manual_seed(0)
    return make_layers(cfgs["E"])


@pytest.fixture(scope="module")
def weights(features, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save({f"features.{name}": tensor for name, tensor in features.state_dict().items()}, path)
    return path


@torch.no_grad()
def test_taps_are_torchvisions_layers(features, weights):
    images = torch.rand(2, 3, 70, 99) * 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    x = (images[:, :, ::2, ::2][:, :, :35, :49] / 255 - mean) / std
    expected = {}
    for i, layer in enumerate(features):
        # torchvision's ReLUs are in place and its pools floor
        x = torch.relu(x) if isinstance(layer, torch.nn.ReLU) else x
        x = torch.nn.functional.max_pool2d(x, 2, ceil_mode=True) if isinstance(layer, torch.nn.MaxPool2d) else x
        x = layer(x) if isinstance(layer, torch.nn.Conv2d) else x
        expected[i] = x
    backbone = build(Backbone(weights=str(weights), taps=TAPS), 2, ".")
    found = backbone(images)
    assert [tuple(tap.shape[-2:]) for tap in found] == list(backbone.tap_sizes((70, 99))) == [(3, 4)] * 5
    assert sum(tap.shape[1] for tap in found) == backbone.channels() == 2560
    for tap, i in zip(found, INDICES, strict=True):
        torch.testing.assert_close(tap, expected[i], rtol=1e-4, atol=1e-5)
    # conv5_1 is the value before its ReLU, which leaves it alone
    assert found[0].min() < 0
    assert torch.equal(found[0].relu(), found[1])


@pytest.mark.skipif(not torch._nnpack_available(), reason="NNPACK needs AVX2 or NEON")
@pytest.mark.parametrize("size", [(35, 49), (48, 64), (130, 97), (16, 16)])
@torch.no_grad()
def test_winograds_taps_are_the_direct_ones(size):
    backbone = build(Backbone(taps=TAPS), 1, ".")
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1)) * 255
    exact = build(Backbone(taps=TAPS), 1, ".").double()(images.double())
    direct = backbone(images)
    backbone.lay_out(winograd=True)
    for tap, other, expected in zip(backbone(images), direct, exact, strict=True):
        assert not torch.equal(tap, other)
        # in parts of a tap's standard deviation, of which float16 rounds 2.4e-4 away
        assert (tap - expected).square().mean().sqrt() < 2e-5 * expected.std()
    backbone.lay_out(winograd=False)
    for tap, other in zip(backbone(images), direct, strict=True):
        assert (tap - other).abs().max() < 1e-4 * other.std()


@pytest.mark.parametrize("size", [(33, 64), (97, 131), (250, 333)])
@pytest.mark.parametrize("downsample", [1, 2, 3])
@torch.no_grad()
def test_tap_sizes_are_those_of_the_taps(size, downsample):
    backbone = Vgg19Taps(["relu1_1", "pool1", "conv2_2", "conv3_1"], downsample)
    found = backbone(torch.zeros(1, 3, *size))
    assert tuple(tuple(tap.shape[-2:]) for tap in found) == backbone.tap_sizes(size)
    assert [tap.shape[1] for tap in found] == [64, 64, 128, 256]


@torch.no_grad()
def test_downsampling_reads_every_other_pixel_only():
    backbone = build(Backbone(taps=["conv1_1"]), 2, ".")
    image = torch.rand(1, 3, 16, 16) * 255
    unseen, seen = image.clone(), image.clone()
    unseen[..., 1::2, :] = 0
    unseen[..., :, 1::2] = 0
    seen[..., 4, 6] = 0
    assert torch.equal(backbone(image)[0], backbone(unseen)[0])
    assert not torch.equal(backbone(image)[0], backbone(seen)[0])


@torch.no_grad()
def test_the_mean_colour_becomes_zero():
    backbone = build(Backbone(taps=["conv1_1"]), 1, ".")
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1).expand(1, 3, 8, 8) * 255
    # random weights have no bias, so zero stays zero
    assert backbone(mean)[0].abs().max() < 1e-5


def test_random_weights_come_from_their_seed_and_are_announced(caplog):
    first, same, other = (build(Backbone(seed=seed, taps=["relu1_2"]), 1, ".") for seed in (3, 3, 4))
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()
    assert "RANDOM WEIGHTS" in caplog.text


def test_the_backbone_is_frozen():
    backbone = build(Backbone(taps=["relu1_2"]), 1, ".")
    assert not backbone.training and not any(p.requires_grad for p in backbone.parameters())


def test_unknown_tap_is_refused_with_the_known_ones():
    with pytest.raises(SettingError, match=r"(?s)conv6_1.*conv5_1, relu5_1"):
        Vgg19Taps(["conv6_1"], 1)


def test_missing_weights_name_the_file(tmp_path):
    with pytest.raises(DataError, match="nowhere.pth"):
        build(Backbone(weights=str(tmp_path / "nowhere.pth")), 2, ".")


def test_weights_that_are_no_state_dict_name_the_file(tmp_path):
    path = tmp_path / "broken.pth"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match="broken.pth"):
        build(Backbone(weights=str(path)), 2, ".")


@pytest.mark.parametrize("name", ["features.0.weight", "features.28.bias"])
def test_weights_of_another_shape_name_file_and_layer(features, tmp_path, name):
    state = {f"features.{key}": tensor for key, tensor in features.state_dict().items()}
    state[name] = state[name][:-1]
    path = tmp_path / "other.pth"
    torch.save(state, path)
    with pytest.raises(DataError, match=rf"other.pth: {name.rsplit('.', 1)[0]} "):
        build(Backbone(weights=str(path), taps=TAPS), 2, ".")


def test_weights_with_too_few_layers_name_the_file(features, tmp_path):
    state = {f"features.{key}": tensor for key, tensor in features.state_dict().items() if not key.startswith("34.")}
    path = tmp_path / "vgg16.pth"
    torch.save(state, path)
    with pytest.raises(DataError, match="vgg16.pth: it holds 15 convolutions"):
        build(Backbone(weights=str(path), taps=TAPS), 2, ".")
    # a tap above the missing layer does not need it
    build(Backbone(weights=str(path), taps=["relu5_2"]), 2, ".")


@pytest.mark.parametrize(
    "wrong",
    [
        torch.full((64,), float("nan")),
        torch.zeros(64, dtype=torch.complex64),
        torch.zeros(64, device="meta"),
        torch.zeros(64).to_sparse(),
        torch.zeros(64, dtype=torch.int64),
    ],
    ids=["NaN", "complex", "nowhere", "sparse", "whole numbers"],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor:UserWarning")
def test_weights_that_are_no_finite_numbers_name_file_and_layer(features, tmp_path, wrong):
    path = tmp_path / "other.pth"
    torch.save({"features.0.weight": features[0].weight.detach(), "features.0.bias": wrong}, path)
    with pytest.raises(DataError, match=r"other.pth: (features.0 does not fit .*weights=FILE names|cannot be read)"):
        build(Backbone(weights=str(path), taps=["conv1_1"]), 2, ".")


def test_what_else_a_file_of_weights_holds_is_passed_over(features, tmp_path):
    path = tmp_path / "more.pth"
    state = {f"features.0.{key}": getattr(features[0], key).detach() for key in ("weight", "bias")}
    torch.save(state | {"features.norm.weight": torch.zeros(1), "features.": torch.zeros(1)}, path)
    found = build(Backbone(weights=str(path), taps=["conv1_1"]), 2, ".")
    assert torch.equal(found.layers[0].bias, features[0].bias)
