import logging
import random

import numpy as np
import pytest
import torch

from entreg.errors import DataError, UserError
from entreg.io import tensors
from entreg.runs import checkpoint


def test_random_state_survives_a_safe_load(tmp_path):
    checkpoint.write(tmp_path / "a.pt", {"random_state": checkpoint.random_state()})
    drawn = (random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item())
    checkpoint.restore_random_state(checkpoint.read(tmp_path / "a.pt")["random_state"])
    assert drawn == (random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item())


def test_a_checkpoint_that_holds_no_dictionary_is_named(tmp_path):
    tensors.write(tmp_path / "a.pt", [1, 2])
    with pytest.raises(DataError, match=r"a.pt: is not a checkpoint, it holds a list; restore it"):
        checkpoint.read(tmp_path / "a.pt")
    tensors.write(tmp_path / "a.pt", {"format": None})
    with pytest.raises(DataError, match=r"a.pt: is not a checkpoint, its format is None; restore it"):
        checkpoint.read(tmp_path / "a.pt")


def test_the_newest_whole_checkpoint_counts_and_broken_ones_are_named_and_set_aside(tmp_path, caplog):
    paths = [tmp_path / name for name in ("last.pt", "epoch_010.pt", "epoch_005.pt")]
    for number, path in enumerate(paths):
        checkpoint.write(path, {"number": number})
    for path in paths[:2]:
        whole = bytearray(path.read_bytes())
        whole[whole.index(b"number")] ^= 255  # not what is between the parts of the archive
        path.write_bytes(whole)
    broken = paths[1].read_bytes()
    with caplog.at_level(logging.WARNING):
        assert checkpoint.newest(paths) == paths[2]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["epoch_005.pt", "epoch_010.pt.broken", "last.pt.broken"]
    assert (tmp_path / "epoch_010.pt.broken").read_bytes() == broken
    for name in ("last.pt", "epoch_010.pt"):
        assert f"{tmp_path / name}: cannot be read" in caplog.text and f"renamed to {name}.broken" in caplog.text
    assert checkpoint.newest([]) is None


@pytest.mark.parametrize(
    "content, said",
    [
        ({"format": 2}, r"last.pt was written by another version of entreg \(format 2, this one reads 1\)"),
    ],
)
def test_a_checkpoint_that_is_whole_but_not_ours_is_left_where_it_is(tmp_path, content, said):
    path = tmp_path / "last.pt"
    tensors.write(path, content)
    with pytest.raises(UserError, match=said):
        checkpoint.newest([path])
    assert path.is_file()
