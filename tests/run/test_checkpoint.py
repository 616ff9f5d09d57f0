import errno
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from entreg.errors import DataError
from entreg.run import checkpoint


def test_random_state_survives_a_safe_load(tmp_path):
    checkpoint.write(tmp_path / "a.pt", {"random_state": checkpoint.random_state()})
    drawn = (random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item())
    checkpoint.restore_random_state(checkpoint.read(tmp_path / "a.pt")["random_state"])
    assert drawn == (random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item())


def test_a_write_that_is_cut_short_leaves_the_old_file_whole(tmp_path, monkeypatch):
    checkpoint.write(tmp_path / "a.pt", {"epoch": 1})

    def cut(_, file):
        if isinstance(file, Path):
            file = file.open("wb")
        file.write(b"half")
        file.flush()
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(tmp_path / "a.pt", {"epoch": 2})
    assert checkpoint.read(tmp_path / "a.pt") == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"half")
    with pytest.raises(DataError, match="a.pt"):
        checkpoint.read(tmp_path / "a.pt")


def test_a_full_disk_is_told_with_the_files_name(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"a.pt: cannot be written: No space left on device"):
        checkpoint.write(tmp_path / "a.pt", {"epoch": 1})
    assert not list(tmp_path.iterdir())
