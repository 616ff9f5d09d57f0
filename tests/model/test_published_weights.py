"""Files of the published layout (random numbers: no real one was at hand) against the plain model, and what is none."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from entreg.config import Backbone, Model
from entreg.errors import DataError, SettingError
from entreg.features.backbone import build
from entreg.features.recipe import Recipe
from entreg.features.vgg19 import IMAGENET_MEAN, IMAGENET_STD
from entreg.model import published_weights, reference
from entreg.model.deepgaze3 import DeepGaze3
from tests.features import densenet
from tests.features.pictures import CPU
from tests.model import published_files

SIZE = (98, 130)


@pytest.fixture(scope="module")
def weights():
    return published_files.densenet()


@pytest.fixture(scope="module")
def iie(weights, tmp_path_factory):
    """The file of IIE's layout, and what it holds."""
    path, state = tmp_path_factory.mktemp("iie") / "deepgaze2e.pth", published_files.iie(weights)
    torch.save(state, path)
    return path, state


@pytest.fixture(scope="module")
def iii(weights, tmp_path_factory):
    path, state = tmp_path_factory.mktemp("iii") / "deepgaze3.pth", published_files.iii(weights)
    torch.save(state, path)
    return path, state


@pytest.fixture
def broken(tmp_path, weights):
    """broken(change): a file of IIE's layout, with its networks alone changed by the function."""

    def write(change):
        last = "features.denseblock4.denselayer32."
        kept = {key: value.flatten()[:1].clone() for key, value in weights.items() if key.startswith(last)}
        state = published_files.iie(kept)
        change(state)
        torch.save(state, tmp_path / "broken.pth")
        return tmp_path / "broken.pth"

    return write


@torch.no_grad()
def test_iies_member_is_what_the_published_steps_give(iie, weights):
    """Backbone, networks and mixture against DenseNet written down once more and the plain model at full resolution."""
    path, state = iie
    found = published_weights.read(path)
    assert found.kind.name == "IIE's DenseNet member" and len(found.components) == 30
    settings = found.settings("kde")
    assert (settings.downsample, settings.readout_factor, settings.saliency_map_factor) == (2, 16, 2)
    backbone = build(settings.backbone, settings.downsample, ".")
    made_by = Recipe(backbone, settings.readout_factor, settings.saliency_map_factor, torch.float32)
    image = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    grid = made_by.grid(SIZE)
    center_bias = torch.randn(1, *SIZE).flatten(1).log_softmax(1).view(1, *SIZE)
    small = center_bias[:, grid.rows.center_bias[:, None], grid.columns.center_bias]
    features = [made_by.row(image, CPU)]

    images = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    normalised = (F.interpolate(images, scale_factor=0.5, mode="nearest") / 255 - mean) / std
    by_name = densenet.taps(weights, normalised)
    taps = [by_name[f"features.denseblock4.denselayer{one}"] for one in ("32.norm1", "32.conv1", "31.conv2")]
    each = torch.stack(
        [
            reference.log_density(published_files.of_component(state, "models.2.", k), taps, center_bias, 2, 16, 2)
            for k in range(30)
        ]
    )
    mixture = found.model(None)(features, small, grid).full()
    assert (mixture - (each.logsumexp(0) - math.log(30))).abs().max() < 1e-4
    one = found.model(11)(features, small, grid).full()
    assert (one - each[11]).abs().max() < 1e-4
    # the components differ, so that neither the number nor the mean of logarithms would do
    assert (each[11] - each[12]).abs().max() > 0.05 and (each.mean(0) - mixture).abs().max() > 1e-3


def test_a_training_starts_from_a_component_on_its_own_backbone(iie, caplog):
    path, state = iie
    found = published_weights.read(path)
    assert "is not the published file of IIE's DenseNet member" in caplog.text
    settings = dataclasses.replace(found.settings("kde"), init_from=str(path), init_component=4)
    published_weights.check(settings)
    model = DeepGaze3(2048, sigma_px=8.0, seed=0)
    with caplog.at_level("INFO"):
        found.start(model, settings, build(settings.backbone, 2, ".").state_dict())
    assert "component 4" in caplog.text and "trained on SALICON and MIT1003" in caplog.text
    expected = published_files.of_component(state, "models.2.", 4)
    assert model.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    with pytest.raises(SettingError, match="component 30: IIE's DenseNet member has 30 components, counted from 0"):
        published_weights.start_of(dataclasses.replace(settings, init_component=30))


def test_another_backbone_is_refused_with_the_way_to_its_own(iie):
    path, _ = iie
    found = published_weights.read(path)
    settings = dataclasses.replace(found.settings("kde"), init_from=str(path))
    other = build(Backbone("densenet201", seed=5, taps=settings.backbone.taps), 2, ".")
    with pytest.raises(DataError, match=rf"(?s)features.conv0.weight differs\n.*model.backbone.weights={path}"):
        found.start(DeepGaze3(2048, 8.0, 0), settings, other.state_dict())


def test_of_deepgaze3_what_needs_no_scanpath_starts_a_training(iii, caplog):
    path, state = iii
    found = published_weights.read(path)
    settings = dataclasses.replace(found.settings("kde"), init_from=str(path), init_component=9)
    assert (settings.readout_factor, settings.saliency_map_factor) == (4, 4)
    model, fresh = DeepGaze3(2048, sigma_px=8.0, seed=3), DeepGaze3(2048, sigma_px=8.0, seed=3).state_dict()
    with caplog.at_level("INFO"):
        found.start(model, settings, {})
    assert "with a fresh fixation_selection_network" in caplog.text
    theirs = published_files.of_component(state, "", 9)
    for key, value in model.state_dict().items():
        assert torch.equal(value, fresh[key] if key.startswith("fixation") else theirs[key]), key


def test_judging_deepgaze3_is_refused_with_the_reason(iii):
    with pytest.raises(SettingError, match="(?s)DeepGaze III cannot be evaluated: .*where the observer looked before"):
        published_weights.read(iii[0]).model(None)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda s: s.pop("models.2.finalizers.7.gauss.sigma"), ["models.2.finalizers.7.gauss.sigma is missing"]),
        (
            lambda s: s.update({"models.2.saliency_networks.0.conv0.weight": torch.zeros(8, 2560, 1, 1)}),
            ["models.2.saliency_networks.0.conv0.weight has the shape (8, 2560, 1, 1), (8, 2048, 1, 1) is needed"],
        ),
        (
            lambda s: s.update({"models.2.saliency_networks.30.conv0.weight": torch.zeros(1)}),
            ["models.2.saliency_networks.30.conv0.weight is unknown"],
        ),
        (
            lambda s: s.update({"models.2.finalizers.3.center_bias_weight": torch.tensor([math.nan])}),
            ["models.2.finalizers.3.center_bias_weight holds numbers that are not finite"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_key_by_key(broken, change, said):
    path = broken(change)
    with pytest.raises(DataError) as error:
        published_weights.read(path)
    assert str(error.value).splitlines() == [f"{path}: does not fit IIE's DenseNet member:", *(f"  {s}" for s in said)]


def test_another_file_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(DataError, match="a.pth: is neither IIE's file nor DeepGaze III's"):
        published_weights.read(tmp_path / "a.pth")
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(DataError, match="list.pth: is not a state dict of a published model"):
        published_weights.read(tmp_path / "list.pth")
    with pytest.raises(DataError, match="(?s)nowhere.pth: this file does not exist.*deepgaze2e.pth"):
        published_weights.read(tmp_path / "nowhere.pth")


def test_another_architecture_is_refused_before_anything_is_read(tmp_path):
    published_weights.check(Model())
    with pytest.raises(SettingError, match="no.pth: this file does not exist"):
        published_weights.check(Model(init_from="no.pth"))
    (tmp_path / "some.pth").write_bytes(b"")
    with pytest.raises(SettingError, match=r"(?s)model.backbone.name=vgg19, densenet201 is needed.*taps=.*densenet201"):
        published_weights.check(Model(init_from=str(tmp_path / "some.pth")))


def test_other_factors_are_refused(iie):
    right = dataclasses.replace(
        published_weights.read(iie[0]).settings("kde"), init_from=str(iie[0]), init_component=29
    )
    assert published_weights.start_of(right).path == iie[0] and published_weights.start_of(Model()) is None
    settings = dataclasses.replace(right, readout_factor=4, saliency_map_factor=4)
    said = r"(?s)readout_factor=4, 16 is needed.*map_factor=4, 2 is needed.*model=deepgaze2e"
    with pytest.raises(SettingError, match=said):
        published_weights.start_of(settings)
