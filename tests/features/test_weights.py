"""Where weights are looked for, and what is said where they are not."""
from pathlib import Path

import pytest
import torch

from entreg.errors import DataError
from entreg.features import weights


def test_torchvisions_weights_are_found_by_the_name_of_their_file(tmp_path):
    torch.save({"a": torch.ones(2), "note": "no tensor"}, tmp_path / "densenet201-c1103571.pth")
    state, source = weights.find("densenet201", "IMAGENET1K_V1", tmp_path)
    assert list(state) == ["a"] and source == str(tmp_path / "densenet201-c1103571.pth")


def test_a_file_of_another_name_is_taken_where_it_is_known(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "mine.pth")
    assert weights.find("vgg19", "IMAGENET1K_V1", tmp_path, ["mine.pth"])[1] == str(tmp_path / "mine.pth")


def test_what_cannot_be_downloaded_names_the_way_out(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(DataError, match=r"(?s)resnet18 weights IMAGENET1K_V1 .*no network.*paths.weights=FOLDER"):
        weights.find("resnet18", "IMAGENET1K_V1", tmp_path)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match=r"(?s)IMAGENET1K_V3 is neither a file .*IMAGENET1K_V1, IMAGENET1K_V2"):
        weights.find("resnet50", "IMAGENET1K_V3", Path())


def test_a_file_that_is_no_state_dict_is_named(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DataError, match="list.pth: is no state dict, it holds a list"):
        weights.find("resnet50", str(tmp_path / "list.pth"), tmp_path)
