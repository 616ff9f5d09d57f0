"""The feature store: what it holds, and when it is built."""
import logging
import multiprocessing
import os
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from entreg.features import store as features_store
from entreg.features.store import FeatureStore, open_store
from entreg.ranks import Ranks
from tests.features.pictures import (
    SIZES,
    TAPS,
    Pictures,
    complete,
    in_process,
    opened,
    recipe,
)


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
    with open(tmp_path / "64x96.bin", "wb") as file:
        file.seek((count - 1) * length)
        file.write(last.numpy().tobytes())
    np.full(count, zlib.crc32(last.numpy().tobytes()) + 1, dtype=np.int64).tofile(tmp_path / "checksums.bin")
    store = FeatureStore(tmp_path, SimpleNamespace(names=[""] * count, sizes=[size] * count), made_by)
    assert torch.equal(store[count - 1].flatten().view(torch.uint8), last)


def test_an_existing_store_is_read_without_the_backbone(tmp_path, images):
    first = opened(tmp_path, images)
    again = recipe()
    store = opened(tmp_path, images, again)
    assert again.seen == 0 and first.recipe.seen == 4
    assert all(torch.equal(first[i], store[i]) for i in range(4))


def other_images(tmp_path, **changed):
    images = Pictures(tmp_path)
    vars(images).update(changed)
    return images


OTHER_RECIPES = {
    "taps": dict(taps=["conv2_1"]), "order of taps": dict(taps=TAPS[::-1]), "downsample": dict(downsample=1),
    "dtype": dict(dtype=torch.float16), "precision": dict(precision=torch.bfloat16), "weights": dict(seed=1),
    "readout_factor": dict(readout_factor=8), "convolution": dict(convolution="winograd"),
}
OTHER_IMAGES = {
    "content": dict(contents=["content 0", "changed", "content 2", "content 3"]),
    "geometry": dict(sizes=[(64, 96), (96, 64), (64, 96), (96, 64)]),
    "order": dict(contents=["content 2", "content 1", "content 0", "content 3"]),
    "fewer": dict(names=["0.png"], sizes=SIZES[:1], contents=["content 0"]),
}


@pytest.mark.parametrize("change", OTHER_RECIPES)
def test_another_recipe_has_another_store(tmp_path, images, change):
    first = opened(tmp_path, images)
    other = opened(tmp_path, images, recipe(**OTHER_RECIPES[change]))
    assert other.folder != first.folder and other.recipe.seen == 4


@pytest.mark.parametrize("change", OTHER_IMAGES)
def test_other_images_have_another_store(tmp_path, images, change):
    first = opened(tmp_path, images)
    changed = other_images(tmp_path, **OTHER_IMAGES[change])
    if change == "geometry":
        Image.open(images.paths[3]).transpose(Image.Transpose.ROTATE_90).save(images.paths[3])
    assert opened(tmp_path, changed).folder != first.folder


def test_names_and_places_do_not_matter(tmp_path, images):
    first = opened(tmp_path, images)
    assert opened(tmp_path, other_images(tmp_path, names=list("abcd"))).folder == first.folder


def test_several_processes_build_once(tmp_path, images):
    counts = multiprocessing.get_context("fork").Queue()

    def build_and_count():
        made_by = recipe()
        store = opened(tmp_path, images, made_by)
        assert store[3].isfinite().all()
        counts.put(made_by.seen)

    processes = [in_process(build_and_count) for _ in range(3)]
    found = sorted(counts.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert found == [0, 0, 4]
    assert len(complete(tmp_path)) == 1


class SlowRank(Ranks):
    """One of two ranks, as threads; the second one looks at what there is to do when the first has done its share."""

    barriers = [threading.Barrier(2, timeout=60) for _ in range(3)]
    first_is_done = threading.Event()

    def barrier(self):
        self.passed = getattr(self, "passed", 0) + 1
        if self.is_first and self.passed == 2:
            self.first_is_done.set()
        self.barriers[self.passed - 1].wait()
        if not self.is_first and self.passed == 1:
            assert self.first_is_done.wait(60)

    def gather(self, value):
        return [value, value]


def test_a_rank_that_comes_late_still_builds_its_share(tmp_path, images):
    """Rows are shared out before anyone looks at what is done, else the second rank would share out what is left."""
    watched = [recipe(), recipe()]
    with ThreadPoolExecutor(2) as pool:
        found = [
            pool.submit(open_store, images, watched[rank], tmp_path / "features", SlowRank(rank, 2))
            for rank in (0, 1)
        ]
        stores = [one.result(120) for one in found]
    assert [one.seen for one in watched] == [2, 2]
    alone = opened(tmp_path / "alone", images)
    assert all(torch.equal(stores[1][i], alone[i]) for i in range(4))


@pytest.mark.parametrize("convolution", ["direct", "winograd"])
def test_rows_do_not_depend_on_the_number_of_threads(tmp_path, images, convolution):
    alone = opened(tmp_path, images, recipe(convolution=convolution))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        found = open_store(images, recipe(convolution=convolution), tmp_path / "threads", Ranks())
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[i], alone[i]) for i in range(4))


def test_progress_is_logged_where_there_is_no_terminal(tmp_path, images, caplog, monkeypatch):
    monkeypatch.setattr(features_store, "TOLD_EVERY_S", 0)
    with caplog.at_level(logging.INFO):
        opened(tmp_path, images)
    told = [record.getMessage() for record in caplog.records if "images/s" in record.getMessage()]
    assert [line.split(",")[0] for line in told] == [f"features: {k} of 4 images" for k in (1, 2, 3, 4)]
    assert told[-1].endswith("0 minutes left")


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
