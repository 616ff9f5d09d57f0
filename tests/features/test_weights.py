"""Where the backbones' weights are, and where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from entreg.errors import DataError
from entreg.features import weights
from entreg.io import resumed_download
from entreg.io.published_file import Published


@pytest.mark.parametrize("name", torchvision.models.VGG19_Weights.__members__)
def test_all_of_vgg19s_are_known_by_hash_and_size(name):
    file = weights.published("vgg19", name)
    assert file.address == torchvision.models.VGG19_Weights[name].url
    # torchvision states how the digest begins in the name, and the size in MiB
    assert file.known_hash.startswith(f"sha256:{file.name.removesuffix('.pth').rpartition('-')[2]}")
    assert file.size_bytes / 2**20 == pytest.approx(torchvision.models.VGG19_Weights[name].meta["_file_size"], abs=1e-3)


@pytest.mark.parametrize(
    "backbone, file",
    [
        ("vgg19", "vgg19_imagenet_features.pth"),
        ("vgg19", "vgg19-dcbb9e9d.pth"),
        ("densenet201", "densenet201-c1103571.pth"),
    ],
)
def test_what_is_there_is_taken(tmp_path, backbone, file):
    assert weights.file_of(backbone, "IMAGENET1K_V1", tmp_path) is None
    torch.save({"a": torch.ones(2), "note": "no tensor"}, tmp_path / file)
    assert weights.file_of(backbone, "IMAGENET1K_V1", tmp_path) == tmp_path / file
    assert weights.fetched(backbone, "IMAGENET1K_V1", tmp_path) == tmp_path / file
    state, source = weights.read(backbone, "IMAGENET1K_V1", tmp_path)
    assert list(state) == ["a"] and source == tmp_path / file


def test_a_local_file_is_taken_or_named(tmp_path):
    with pytest.raises(DataError, match=r"(?s)mine.pth is neither a file .*IMAGENET1K_V1"):
        weights.fetched("vgg19", str(tmp_path / "mine.pth"), tmp_path)
    (tmp_path / "mine.pth").touch()
    assert weights.fetched("vgg19", str(tmp_path / "mine.pth"), tmp_path / "elsewhere") == tmp_path / "mine.pth"


@pytest.mark.parametrize("backbone, title", [("vgg19", "VGG-19"), ("resnet18", "resnet18")])
def test_without_a_network_the_ways_out_are_said(tmp_path, monkeypatch, backbone, title):
    monkeypatch.setattr(resumed_download, "WAIT_S", 0.0)
    monkeypatch.setattr(weights, "published", lambda *_: Published("http://127.0.0.1:1/net-dcbb9e9d.pth"))
    with pytest.raises(DataError) as caught:
        weights.fetched(backbone, "IMAGENET1K_V1", tmp_path)
    for part in (
        f"{title} weights IMAGENET1K_V1",
        "http://127.0.0.1:1/net-dcbb9e9d.pth cannot be downloaded",
        f"put the file at {tmp_path}/net-dcbb9e9d.pth",
        "paths.weights=FOLDER",
        "backbone.weights=null",
    ):
        assert part in str(caught.value)


def test_a_download_is_held_against_the_digits_in_its_name(tmp_path, monkeypatch):
    """Of most of torchvision's files no more of the hash is published."""
    monkeypatch.setattr(weights, "download", lambda _, path: path.write_bytes(b"other"))
    with pytest.raises(DataError, match="resnet18-f37072fd.pth does not have the hash that its name begins to state"):
        weights.fetched("resnet18", "IMAGENET1K_V1", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match=r"(?s)IMAGENET1K_V3 is neither a file .*IMAGENET1K_V1, IMAGENET1K_V2"):
        weights.read("resnet50", "IMAGENET1K_V3", Path())


def test_a_file_that_is_no_state_dict_is_named(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DataError, match="list.pth: is not a state dict, it holds a list"):
        weights.read("resnet50", str(tmp_path / "list.pth"), tmp_path)
