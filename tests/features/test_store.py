"""The feature store as it is read: its rows, and the one clear error where a file is damaged."""

import os
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from entreg.errors import DataError
from entreg.features.store import FeatureStore
from tests.features.pictures import SIZES, Pictures, opened, recipe


@pytest.fixture
def images(tmp_path):
    return Pictures(tmp_path)


@pytest.mark.parametrize("dtype, error", [(torch.float32, 1e-5), (torch.float16, 2**-10), (torch.bfloat16, 2**-7)])
def test_rows_are_a_direct_backbone_pass(tmp_path, images, dtype, error):
    made_by = recipe(dtype, readout_factor=2)
    store = opened(tmp_path, images, made_by)
    for i in (2, 0, 3, 1):
        taps = made_by.backbone(torch.from_numpy(images.read(i)).permute(2, 0, 1)[None].float())
        # at native resolution: sizes divide, so that cells are the taps' own pixels
        expected = torch.cat(taps, 1)[0].flatten(1).T
        expected = (expected - expected.mean()) / expected.var(correction=0).sqrt()
        assert store[i].shape == (SIZES[i][0] // 4 * (SIZES[i][1] // 4), 256) and store[i].dtype == dtype
        torch.testing.assert_close(store[i].float(), expected, rtol=error, atol=error)


def test_rows_are_views_of_the_file(tmp_path, images):
    store = opened(tmp_path, images)
    store.prefetch([0, 1, 3])
    assert store[0].data_ptr() == store[0].data_ptr()
    assert store[2].data_ptr() - store[0].data_ptr() == store.recipe.row_bytes((64, 96))


@pytest.mark.filterwarnings("error")
def test_a_store_larger_than_the_memory_can_be_opened(tmp_path):
    """A file with a hole in place of features: nothing is written but its last row."""
    made_by, size = recipe(), (64, 96)
    length, memory = made_by.row_bytes(size), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    count = 2 * memory // length
    last = torch.arange(length, dtype=torch.uint8)
    with (tmp_path / "64x96.bin").open("wb") as file:
        file.seek((count - 1) * length)
        file.write(last.numpy().tobytes())
    np.full(count, zlib.crc32(last.numpy().tobytes()) + 1, dtype=np.int64).tofile(tmp_path / "checksums.bin")
    store = FeatureStore(tmp_path, SimpleNamespace(names=[""] * count, sizes=[size] * count), made_by)
    assert torch.equal(store[count - 1].flatten().view(torch.uint8), last)


def test_mixed_resolutions_and_odd_sizes_have_rows_of_their_grid(tmp_path):
    images = Pictures(tmp_path, [(61, 97), (97, 61), (61, 97)])
    made_by = recipe(taps=["relu2_1", "conv3_1"])
    store = opened(tmp_path, images, made_by)
    for i, size in enumerate(images.sizes):
        taps = made_by.backbone(torch.from_numpy(images.read(i)).permute(2, 0, 1)[None].float())
        grid = made_by.grid(size)
        share = torch.ones(grid.cells) / grid.cells if grid.weights() is None else grid.weights()
        raw = grid.gather(taps)[0].double()
        mean = (share[:, None] * raw).sum() / 384
        variance = (share[:, None] * (raw - mean).square()).sum() / 384
        assert store[i].shape == (grid.cells, 384)
        torch.testing.assert_close(store[i].double(), (raw - mean) / variance.sqrt(), rtol=1e-4, atol=1e-4)


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
    with (folder / "64x96.bin").open("r+b") as file:
        file.seek(2 * recipe().row_bytes((64, 96)) - 1)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 128]))
    store = opened(tmp_path, images)
    store[0], store[1], store[3]
    with pytest.raises(DataError, match=r"64x96.bin: the features of 2.png are damaged"):
        store[2]


def test_it_knows_what_of_a_row_is_in_the_page_cache(tmp_path, images):
    """A hole is in nobody's memory until it is read; beside it a row that is."""
    store = opened(tmp_path, images)
    path, start, length = store.place(2)
    assert store.cached_bytes(2) == length  # 24 pages, just written
    os.truncate(path, start)
    os.truncate(path, start + length)
    assert (store.cached_bytes(0), store.cached_bytes(2)) == (length, 0)
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # nothing ahead
        os.pread(file.fileno(), 1, start)
        assert store.cached_bytes(2) in (0, 4096)  # a file system in memory reads a hole without filling it
    path.read_bytes()
    assert store.cached_bytes(2) in (0, length)
