import errno
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from entreg import files
from entreg.engine import checkpoint
from entreg.errors import DataError


def test_random_state_survives_a_safe_load(tmp_path):
    checkpoint.save(tmp_path / "a.pt", {"random_state": checkpoint.random_state()})
    drawn = (random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item())
    checkpoint.restore_random_state(checkpoint.load(tmp_path / "a.pt")["random_state"])
    assert drawn == (random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item())


def test_a_write_that_is_cut_short_leaves_the_old_file_whole(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "a.pt", {"epoch": 1})

    def cut(_, file):
        if isinstance(file, Path):
            file = file.open("wb")
        file.write(b"half")
        file.flush()
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path / "a.pt", {"epoch": 2})
    assert checkpoint.load(tmp_path / "a.pt") == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"half")
    with pytest.raises(DataError, match="a.pt"):
        checkpoint.load(tmp_path / "a.pt")


def test_a_table_has_every_key_that_a_row_has(tmp_path):
    files.write_csv(tmp_path / "a.csv", [{"x": 1}, {"x": 2, "y": None}, {"y": 3}])
    assert (tmp_path / "a.csv").read_text() == "x,y\n1,\n2,\n,3\n"


def test_json_without_nan(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_the_files_name(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"a.pt: cannot be written: No space left on device"):
        checkpoint.save(tmp_path / "a.pt", {"epoch": 1})
    assert not list(tmp_path.iterdir())
