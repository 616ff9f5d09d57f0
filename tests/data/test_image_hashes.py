"""Hashes of images are kept between processes, and read again where the file may be another one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from entreg.data import hash_file, image_hashes, images
from entreg.data.image_hashes import KnownHashes
from entreg.errors import DataError
from entreg.io import digests


class Work(list):
    """What was done: (`read`, name) for each file that was hashed, (`decoded`, name) for each thumbnail."""

    def of(self, what: str) -> list[str]:
        return [name for done, name in self if done == what]


@pytest.fixture
def work(monkeypatch) -> Work:
    """Files may be kept as soon as they are written, so that no test waits."""
    monkeypatch.setattr(image_hashes, "SETTLED_NS", 0)
    done, thumbnail, sums = Work(), images.thumbnail, digests.sha256_of_each

    def decoded(path: Path) -> np.ndarray:
        done.append(("decoded", path.name))
        return thumbnail(path)

    def read(paths: Sequence[Path]) -> list[str]:
        done.extend(("read", path.name) for path in paths)
        return sums(paths)

    monkeypatch.setattr(images, "thumbnail", decoded)
    monkeypatch.setattr(digests, "sha256_of_each", read)
    return done


def draw(path: Path, seed: int) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    (tmp_path / "set").mkdir()
    return [draw(tmp_path / f"set/{i}.png", i) for i in range(3)]


def sha256(paths: Sequence[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


@pytest.fixture
def again(tmp_path, pictures):
    """again(**how): what another process that begins now finds."""

    def of(**how):
        hashes = KnownHashes(tmp_path / "store", **how)
        found = hashes.of(pictures)
        assert found.digests == sha256(pictures)
        assert np.array_equal(found.thumbnails, [Image.open(p).convert("L").resize((17, 16), 4) for p in pictures])
        hashes.keep()

    return of


def test_the_next_process_reads_no_file_that_did_not_change(again, work):
    again()
    assert work.of("read") == ["0.png", "1.png", "2.png"] and sorted(work.of("decoded")) == work.of("read")
    work.clear()
    again()
    assert work == []


def test_an_evaluation_reads_every_byte_and_decodes_nothing_twice(again, work):
    again()
    work.clear()
    again(reads_every_byte=True)
    assert work == [("read", f"{i}.png") for i in range(3)]


def in_place(path: Path) -> None:
    """A byte is another one, and size, inode and the time of the last change are set as they were."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size - 1)
        file.write(b"\x00")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "byte in place": in_place,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "other file of that name": lambda path: draw(path.with_name("new.png"), 9).replace(path),
    "touched": lambda path: os.utime(path, ns=(1, 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_may_have_changed_is_read_again(again, work, pictures, change):
    again()
    work.clear()
    CHANGES[change](pictures[1])
    again()
    assert work.of("read") == ["1.png"]
    assert work.of("decoded") == ([] if change == "touched" else ["1.png"])


def test_what_changed_just_before_it_was_read_is_not_kept(again, work, tmp_path, monkeypatch):
    monkeypatch.setattr(image_hashes, "SETTLED_NS", 3600 * 10**9)
    again()
    assert not (tmp_path / "store").exists()


def test_files_of_hashes_hold_what_there_is_and_no_more(again, work, pictures, tmp_path):
    """Those that another process added meanwhile stay; those of files that are gone leave."""
    other = draw(tmp_path / "set/3.png", 3)
    late = KnownHashes(tmp_path / "store")
    late.sha256([other])
    again()
    late.keep()
    (kept,) = (tmp_path / "store/image_hashes").iterdir()
    assert hash_file.read(kept, str(other.parent)).keys() == {"0.png", "1.png", "2.png", "3.png"}
    pictures.pop(0).unlink()
    draw(other, 4)
    again()
    last = KnownHashes(tmp_path / "store")
    last.sha256([other])
    last.keep()
    assert hash_file.read(kept, str(other.parent)).keys() == {"1.png", "2.png", "3.png"}


def test_one_of_several_ranks_keeps_what_they_computed(again, work, tmp_path):
    again(writes=False)
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_be_written_ends_nothing(again, work, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/image_hashes").touch()
    again()
    again()
    assert work.of("read") == ["0.png", "1.png", "2.png"] * 2


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_kept(tmp_path, work, pictures):
    hashes, folder = KnownHashes(tmp_path / "store"), tmp_path / "set/4.png"
    folder.mkdir()
    for path, why in ((tmp_path / "set/none.png", "No such file"), (folder, "Is a directory")):
        with pytest.raises(DataError, match=rf"^{path}: cannot be read: {why}"):
            hashes.sha256([path])
    hashes.sha256(pictures)
    hashes.keep()
    assert len(hash_file.read(*places(tmp_path))) == 3


def places(tmp_path: Path) -> tuple[Path, str]:
    images_in = str(tmp_path / "set")
    return hash_file.path_of(tmp_path / "store/image_hashes", images_in), images_in
