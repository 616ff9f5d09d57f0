"""A file of hashes gives what was written, and nothing where it is damaged or belongs to other images."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from entreg.data import hash_file
from entreg.data.hash_file import HashedImage
from entreg.io import files

HASHED = {
    "a.png": HashedImage(
        (70_000, 1_700_000_000_000_000_001, 2, 2**64 - 1), "0a" * 32, bytes(i % 256 for i in range(272))
    ),
    "b\udcff ü.png": HashedImage((1, 2, 3, 4), "ff" * 32),
}


@pytest.fixture
def path(tmp_path) -> Path:
    hash_file.write(tmp_path / "kept.json", "/data/stimuli", HASHED)
    return tmp_path / "kept.json"


def test_what_was_written_is_read(path):
    assert hash_file.read(path, "/data/stimuli") == HASHED
    assert hash_file.read(path.with_name("none.json"), "/data/stimuli") == {}


def test_a_damaged_file_is_not_trusted(path):
    """Each of some bytes is another one, and the file ends early."""
    content, draw = path.read_bytes(), random.Random(0)
    for _ in range(300):
        at, bit = draw.randrange(len(content)), 1 << draw.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
        assert hash_file.read(path, "/data/stimuli") in ({}, HASHED)  # a blank may be another one, and case in \\u
        path.write_bytes(content[:at])
        assert hash_file.read(path, "/data/stimuli") == {}


def test_a_file_of_other_images_or_another_version_is_not_trusted(path, monkeypatch):
    assert hash_file.read(path, "/data/others") == {}
    monkeypatch.setattr(hash_file.PIL, "__version__", "0")
    assert hash_file.read(path, "/data/stimuli") == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"sha256": 1, "of": 2, "images": 3}', "\xff", "[" * 9999])
def test_what_somebody_else_put_there_is_not_trusted(path, content):
    path.write_bytes(content.encode("latin-1"))
    assert hash_file.read(path, "/data/stimuli") == {}


def test_a_thumbnail_of_another_size_is_not_trusted(path):
    hash_file.write(path, "/data/stimuli", {"a.png": HashedImage((1, 2, 3, 4), "0a" * 32, b"123")})
    assert hash_file.read(path, "/data/stimuli") == {}


def test_what_killed_processes_left_is_removed_once_it_is_old(path):
    for name, age_s in (("0123abcd", files.STALE_S + 60), ("4567abcd", 0)):
        leftover = path.with_name(f".kept.json.{name}.tmp")
        leftover.touch()
        os.utime(leftover, (leftover.stat().st_mtime - age_s,) * 2)
    assert hash_file.read(path, "/data/stimuli") == HASHED
    assert [left.name for left in path.parent.glob(".*")] == [".kept.json.4567abcd.tmp"]
