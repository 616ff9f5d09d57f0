"""Files of tensors: whole or named as damaged, and read without running anything."""

from __future__ import annotations

import errno
import os
import pickle

import pytest
import torch

from entreg.errors import DataError
from entreg.io import tensors

CONTENT = {"weight": torch.arange(6.0).view(2, 3), "history": [{"epoch": 1, "lr": 0.1}]}


def test_what_is_written_is_read(tmp_path):
    tensors.write(tmp_path / "a.pt", CONTENT)
    found = tensors.read(tmp_path / "a.pt")
    assert torch.equal(found["weight"], CONTENT["weight"]) and found["history"] == CONTENT["history"]
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pt"]


class Evil:
    def __reduce__(self):
        return os.mkdir, ("was_here",)


@pytest.mark.parametrize(
    "save",
    [
        lambda path: torch.save({"a": Evil()}, path),
        lambda path: torch.save({"a": Evil()}, path, _use_new_zipfile_serialization=False),
        lambda path: path.write_bytes(pickle.dumps(Evil())),
    ],
    ids=["zip", "before zip", "pickle"],
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
def test_a_file_runs_nothing(tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "evil.pt")
    with pytest.raises(DataError, match=r"^\S+evil.pt: cannot be read as .*, or holds other things than tensors"):
        tensors.read(tmp_path / "evil.pt")
    assert not (tmp_path / "was_here").exists()


@pytest.mark.parametrize("damage", ["bit", "short", "zeros", "empty", "missing"])
def test_a_damaged_file_is_named(tmp_path, damage):
    """One bit of a weight would give another finite number, and nobody would know."""
    path = tmp_path / "a.pt"
    tensors.write(path, CONTENT)
    whole = bytearray(path.read_bytes())
    place = whole.index(CONTENT["weight"].numpy().tobytes()) + 9
    if damage == "bit":
        whole[place] ^= 1
    elif damage == "zeros":
        whole[place - 9 : place + 15] = bytes(24)
    path.write_bytes(whole[: {"short": len(whole) - 30, "empty": 0}.get(damage, len(whole))])
    if damage == "missing":
        path.unlink()
    with pytest.raises(DataError, match=r"^\S+a.pt: cannot be read as a file of tensors: \S"):
        tensors.read(path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_file_that_cannot_be_written_is_one_line_and_leaves_the_earlier_one(tmp_path, monkeypatch, call, number):
    """PyTorch's own writer says `unexpected pos` where the disk is full."""
    tensors.write(tmp_path / "a.pt", {"epoch": 1})

    def fail(*_):
        raise OSError(number, os.strerror(number))

    class Failing:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        write = fail

    with monkeypatch.context() as context:
        if call == "write":
            context.setattr("io.open", lambda *arguments, real=open, **kw: Failing(real(*arguments, **kw)))
        else:
            context.setattr(os, call, fail)
        with pytest.raises(DataError, match=rf"^\S+a.pt: cannot be written: {os.strerror(number)}$"):
            tensors.write(tmp_path / "a.pt", {"epoch": 2})
    assert tensors.read(tmp_path / "a.pt") == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pt"]


@pytest.mark.parametrize("odd", [torch.zeros(2, device="meta"), torch.eye(2).to_sparse()], ids=["meta", "sparse"])
@pytest.mark.filterwarnings("ignore:Validating sparse tensor:UserWarning")
def test_a_tensor_without_plain_values_is_refused(tmp_path, odd):
    torch.save({"deep": [odd]}, tmp_path / "a.pt")
    with pytest.raises(DataError, match=r"a.pt: cannot be read as .*: a tensor .* no plain values; restore"):
        tensors.read(tmp_path / "a.pt")
