"""Files of tensors: whole or named as damaged, and read with care where this PyTorch can be made to run their code."""

from __future__ import annotations

import errno
import logging
import os
import pickle

import pytest
import torch

from entreg import tensors
from entreg.errors import DataError, UserError

CONTENT = {"weight": torch.arange(6.0).view(2, 3), "history": [{"epoch": 1, "lr": 0.1}]}


@pytest.fixture(autouse=True)
def nothing_is_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(tensors, "OWN", tmp_path / "home/own_files.txt")
    tensors.trust(False)
    yield
    tensors.trust(False)


@pytest.fixture
def of_version(monkeypatch):
    """of_version("2.5.1"): this PyTorch calls itself that."""
    return lambda version: monkeypatch.setattr(torch, "__version__", version)


@pytest.fixture
def foreign(tmp_path):
    """A file that entreg has not written."""
    torch.save(CONTENT, tmp_path / "foreign.pt")
    return tmp_path / "foreign.pt"


def test_what_is_written_is_read(tmp_path):
    tensors.write(tmp_path / "a.pt", CONTENT)
    found = tensors.read(tmp_path / "a.pt")
    assert torch.equal(found["weight"], CONTENT["weight"]) and found["history"] == CONTENT["history"]
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pt"]


@pytest.mark.parametrize(
    "version, expected",
    [
        ("2.0.1", ["CVE-2025-32434", "CVE-2026-24747"]),
        ("2.5.1+cu121", ["CVE-2025-32434", "CVE-2026-24747"]),
        ("2.6.0", ["CVE-2026-24747"]),
        ("2.9.1", ["CVE-2026-24747"]),
        ("2.10.0", []),
        ("2.14.1+cu130", []),
        ("3.0.0a0", []),
        ("unknown", ["CVE-2025-32434", "CVE-2026-24747"]),
    ],
)
def test_advisories_are_those_of_the_version(of_version, version, expected):
    of_version(version)
    assert tensors.advisories() == expected


def test_where_pytorch_is_safe_any_file_is_read(foreign, of_version):
    of_version("2.10.0")
    assert torch.equal(tensors.read(foreign)["weight"], CONTENT["weight"])


@pytest.mark.parametrize(
    "version, named",
    [
        ("2.5.1", r"\(CVE-2025-32434, CVE-2026-24747\)"),
        ("2.9.0", r"\(CVE-2026-24747\)"),
    ],
)
def test_elsewhere_a_foreign_file_is_read_only_where_it_is_trusted(foreign, of_version, caplog, version, named):
    of_version(version)
    with pytest.raises(UserError, match=rf"foreign.pt comes from elsewhere, and PyTorch {version} .*{named}"):
        tensors.read(foreign)
    with caplog.at_level(logging.WARNING):
        tensors.trust(True)
        tensors.trust(True)
    assert caplog.text.count("trust=true") == 1 and "CVE-2026-24747" in caplog.text
    assert torch.equal(tensors.read(foreign)["weight"], CONTENT["weight"])


def test_there_ones_own_files_and_those_of_a_known_digest_are_read(foreign, tmp_path, of_version):
    of_version("2.5.1")
    tensors.write(tmp_path / "own.pt", CONTENT)
    assert torch.equal(tensors.read(tmp_path / "own.pt")["weight"], CONTENT["weight"])
    digest = tensors.files.sha256(foreign)
    assert torch.equal(tensors.read(foreign, known_sha256={digest})["weight"], CONTENT["weight"])
    for other in (digest[:8], digest[:-1], "0" * 64, None):
        with pytest.raises(UserError, match=r"comes from elsewhere(.|\n)*trust=true .*entreg.load\(\.\.\., trust=True"):
            tensors.read(foreign, known_sha256={other})


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
def test_a_file_runs_nothing(tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "evil.pt")
    tensors.trust(True)
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
            context.setattr("builtins.open", lambda *arguments, real=open, **kw: Failing(real(*arguments, **kw)))
        else:
            context.setattr(os, call, fail)
        with pytest.raises(DataError, match=rf"^\S+a.pt: cannot be written: {os.strerror(number)}$"):
            tensors.write(tmp_path / "a.pt", {"epoch": 2})
    assert tensors.read(tmp_path / "a.pt") == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pt"]


@pytest.mark.parametrize("odd", [torch.zeros(2, device="meta"), torch.eye(2).to_sparse()], ids=["meta", "sparse"])
def test_a_tensor_without_plain_values_is_refused(tmp_path, odd):
    torch.save({"deep": [odd]}, tmp_path / "a.pt")
    tensors.trust(True)
    try:
        with pytest.raises(DataError, match=r"a.pt: cannot be read as .*: a tensor .* no plain values; restore"):
            tensors.read(tmp_path / "a.pt")
    finally:
        tensors.trust(False)
