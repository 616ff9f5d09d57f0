"""The feature store when something goes wrong: one clear error, and nothing half-written is used later."""
import errno
import os
import shutil
import signal
from types import SimpleNamespace

import pytest
import torch

from entreg.errors import DataError
from entreg.features import store as store_module
from tests.features.pictures import Pictures, complete, in_process, opened, recipe


@pytest.fixture
def images(tmp_path):
    return Pictures(tmp_path)


def killed_build(tmp_path, images, after):
    killer = recipe()
    killer.dies_at = after
    process = in_process(opened, tmp_path, images, killer)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert complete(tmp_path) == []
    return next((tmp_path / "features").glob("*.partial"))


def test_a_killed_build_goes_on_where_it_was(tmp_path, images):
    killed_build(tmp_path, images, after=2)
    made_by = recipe()
    store = opened(tmp_path, images, made_by)
    assert made_by.seen == 2
    whole = opened(tmp_path / "elsewhere", images)
    assert whole.recipe.seen == 4
    assert all(torch.equal(store[i], whole[i]) for i in range(4))
    assert not list((tmp_path / "features").glob("*.partial"))


def test_what_a_killed_build_left_is_verified(tmp_path, images):
    partial = killed_build(tmp_path, images, after=3)
    # batches are sorted by size, so the first file was written first
    path = partial / "64x96.bin"
    content = bytearray(path.read_bytes())
    content[17] ^= 1
    path.write_bytes(content)
    made_by = recipe()
    store = opened(tmp_path, images, made_by)
    assert made_by.seen == 2
    assert torch.equal(store[0], opened(tmp_path / "elsewhere", images)[0])


@pytest.mark.parametrize("name", ["64x96.bin", "96x64.bin", "checksums.bin"])
@pytest.mark.parametrize("damage", ["missing", "short", "long"])
def test_a_file_of_the_wrong_size_is_named(tmp_path, images, name, damage):
    path = opened(tmp_path, images).folder / name
    if damage == "missing":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size + (8 if damage == "long" else -8))
    with pytest.raises(DataError, match=rf"{name} (is missing|has \d+ bytes).*remove the folder"):
        opened(tmp_path, images)


def test_a_damaged_row_names_file_and_image(tmp_path, images):
    folder = opened(tmp_path, images).folder
    with open(folder / "64x96.bin", "r+b") as file:
        file.seek(2 * recipe().row_bytes((64, 96)) - 1)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 128]))
    store = opened(tmp_path, images)
    store[0], store[1], store[3]
    with pytest.raises(DataError, match=r"64x96.bin: features of 2.png are damaged"):
        store[2]


def test_a_disk_that_is_too_small_is_told_before_anything_is_computed(tmp_path, images, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    made_by = recipe()
    with pytest.raises(DataError, match=r"features: the features need 0.00 GB, 0.00 GB are free(?s:.*)paths.store"):
        opened(tmp_path, images, made_by)
    assert made_by.seen == 0 and complete(tmp_path) == []


def test_space_that_cannot_be_taken_is_told_and_given_back(tmp_path, images, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"\.partial.*No space left on device.*paths.store"):
        opened(tmp_path, images)
    assert not [path for path in (tmp_path / "features").iterdir() if path.is_dir()]


def test_a_disk_that_runs_full_ends_the_build_and_the_next_one_goes_on(tmp_path, images, monkeypatch):
    write, calls = os.pwrite, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments)

    monkeypatch.setattr(store_module.os, "pwrite", full)
    with pytest.raises(DataError, match=r"\.partial.*No space left on device"):
        opened(tmp_path, images)
    assert complete(tmp_path) == []
    monkeypatch.undo()
    made_by = recipe()
    opened(tmp_path, images, made_by)
    assert made_by.seen == 3


def test_a_short_write_ends_the_build(tmp_path, images, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(store_module.os, "pwrite", lambda handle, data, offset: write(handle, data[:1], offset))
    with pytest.raises(DataError, match="short write"):
        opened(tmp_path, images)
    assert complete(tmp_path) == []


@pytest.mark.parametrize("damage", ["undecodable", "vanished"])
def test_a_bad_image_is_named_and_leaves_no_store(tmp_path, images, damage):
    path = images.paths[2]
    good = path.read_bytes()
    path.unlink()
    if damage == "undecodable":
        path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError, match=r"2\.png (is missing|cannot be read as an image)"):
        opened(tmp_path, images)
    assert complete(tmp_path) == []
    path.write_bytes(good)
    assert opened(tmp_path, images)[2].isfinite().all()


def test_the_rest_is_not_begun_after_a_failure_and_threads_are_as_before(tmp_path):
    images = Pictures(tmp_path, [(64, 96)] * 40)
    images.paths[1].unlink()
    made_by, before = recipe(), torch.get_num_threads()
    with pytest.raises(DataError, match="1.png is missing"):
        opened(tmp_path, images, made_by)
    assert made_by.seen < 10 and torch.get_num_threads() == before


def test_a_store_where_nothing_may_be_written_is_named(tmp_path, images):
    (tmp_path / "features").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"features: cannot be written: .*paths.store=FOLDER"):
        opened(tmp_path, images)
