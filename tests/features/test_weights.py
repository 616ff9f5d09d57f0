"""Where the backbone's weights are, and where they come from."""
from __future__ import annotations

import pytest
import torchvision

from entreg.errors import DataError
from entreg.features import weights
from entreg.fetch.published import Published


@pytest.mark.parametrize("name", torchvision.models.VGG19_Weights.__members__)
def test_all_of_torchvisions_are_known_by_hash_and_size(name):
    file = weights.published(name)
    assert weights.is_name(name) and file.address == torchvision.models.VGG19_Weights[name].url
    # torchvision states how the digest begins in the name, and the size in MiB
    assert file.known_hash.startswith(f"sha256:{file.name.removesuffix('.pth').rpartition('-')[2]}")
    assert file.size_bytes / 2**20 == pytest.approx(torchvision.models.VGG19_Weights[name].meta["_file_size"], abs=1e-3)


@pytest.mark.parametrize("name", ["vgg19_imagenet_features.pth", "vgg19-dcbb9e9d.pth"])
def test_what_is_there_is_taken(tmp_path, name):
    assert weights.found("IMAGENET1K_V1", tmp_path) is None
    (tmp_path / name).touch()
    assert weights.found("IMAGENET1K_V1", tmp_path) == weights.fetched("IMAGENET1K_V1", tmp_path) == tmp_path / name


def test_a_local_file_is_taken_or_named(tmp_path):
    with pytest.raises(DataError, match=r"(?s)mine.pth is neither a file .*IMAGENET1K_V1"):
        weights.fetched(str(tmp_path / "mine.pth"), tmp_path)
    (tmp_path / "mine.pth").touch()
    assert weights.fetched(str(tmp_path / "mine.pth"), tmp_path / "elsewhere") == tmp_path / "mine.pth"


def test_without_a_network_the_ways_out_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    monkeypatch.setattr(weights, "published", lambda _: Published("http://127.0.0.1:1/vgg19-dcbb9e9d.pth"))
    with pytest.raises(DataError) as caught:
        weights.fetched("IMAGENET1K_V1", tmp_path)
    for part in ("http://127.0.0.1:1/vgg19-dcbb9e9d.pth cannot be downloaded: Connection refused",
                 f"put the file at {tmp_path}/vgg19-dcbb9e9d.pth", "paths.weights=FOLDER", "backbone.weights=null"):
        assert part in str(caught.value)
