"""Building a feature store: when it is built, by whom, and that nothing half-written is used where something fails."""

import errno
import gc
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from entreg import progress
from entreg.distributed.ranks import Ranks, StopFlag, Stopped
from entreg.errors import DataError
from entreg.features import store_builder
from entreg.features.recipe import Recipe
from entreg.features.store_builder import open_store
from entreg.io.leases import Lease
from tests.features.pictures import SIZES, TAPS, Pictures, complete, in_process, opened, recipe


@pytest.fixture
def images(tmp_path):
    return Pictures(tmp_path)


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
    "taps": dict(taps=["conv2_1"]),
    "order of taps": dict(taps=TAPS[::-1]),
    "downsample": dict(downsample=1),
    "dtype": dict(dtype=torch.float16),
    "precision": dict(precision=torch.bfloat16),
    "weights": dict(seed=1),
    "readout_factor": dict(readout_factor=8),
    "convolution": dict(convolution="winograd"),
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
    meeting, values = threading.Barrier(2, timeout=60), {}

    def barrier(self):
        self.passed = getattr(self, "passed", 0) + 1
        self.barriers[self.passed - 1].wait()
        if not self.is_first and self.passed == 1:
            assert self.first_is_done.wait(60)

    def gather(self, value, patient=False):
        self.gathered = getattr(self, "gathered", 0) + 1
        if self.is_first and self.gathered == 3:  # it asks whether all were left to finish
            self.first_is_done.set()
        values = self.values.setdefault(self.gathered, [None, None])
        values[self.rank] = value
        self.meeting.wait()
        return values


def test_a_rank_that_comes_late_still_builds_its_share(tmp_path, images):
    """Rows are shared out before anyone looks at what is done, else the second rank would share out what is left."""
    watched = [recipe(), recipe()]
    with ThreadPoolExecutor(2) as pool:
        found = [
            pool.submit(open_store, images, watched[rank], tmp_path / "features", SlowRank(rank, 2)) for rank in (0, 1)
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
    monkeypatch.setattr(progress, "TOLD_EVERY_S", 0)
    with caplog.at_level(logging.INFO):
        opened(tmp_path, images)
    told = [record.getMessage() for record in caplog.records if "images/s" in record.getMessage()]
    assert [line.split(",")[0] for line in told] == [f"features: {k} of 4 images" for k in (1, 2, 3, 4)]
    assert told[-1].endswith("0 minutes left")


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


def test_a_disk_that_is_too_small_is_told_before_anything_is_computed(tmp_path, images, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000, total=10**9))
    made_by = recipe()
    with pytest.raises(DataError, match=r"features: the features need 0.00 GB, and 0.00 GB are free(?s:.*)paths.store"):
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

    monkeypatch.setattr(store_builder.os, "pwrite", full)
    with pytest.raises(DataError, match=r"\.partial.*No space left on device"):
        opened(tmp_path, images)
    assert complete(tmp_path) == []
    monkeypatch.undo()
    made_by = recipe()
    opened(tmp_path, images, made_by)
    assert made_by.seen == 3


def test_a_short_write_ends_the_build(tmp_path, images, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(store_builder.os, "pwrite", lambda handle, data, offset: write(handle, data[:1], offset))
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
    with pytest.raises(DataError, match=r"features/\w+.owner: cannot be written: .*paths.store=FOLDER"):
        opened(tmp_path, images)


class Flag(StopFlag):
    received = False


def test_a_build_that_is_asked_to_stop_keeps_what_it_has_and_the_next_one_goes_on(tmp_path, images):
    made_by, ranks = recipe(), Ranks(stop=Flag())
    row = made_by.row

    def asked_in_the_second(image, device):
        ranks.stop.received = made_by.seen == 1
        return row(image, device)

    made_by.row = asked_in_the_second
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.raises(Stopped):
            open_store(images, made_by, tmp_path / "features", ranks)
    finally:
        torch.set_num_threads(threads)
    assert made_by.seen == 2 and complete(tmp_path) == []
    assert not list((tmp_path / "features").glob("*.owner"))
    rest = recipe()
    store = opened(tmp_path, images, rest)
    whole = opened(tmp_path / "elsewhere", images)
    assert rest.seen == 2 and all(torch.equal(store[i], whole[i]) for i in range(4))


def test_who_waits_for_a_builder_may_be_asked_to_stop(tmp_path, images):
    ranks = Ranks(stop=Flag())
    place = tmp_path / "features" / store_builder.fingerprint(images, recipe())
    with Lease(place.with_name(f"{place.name}.owner")):
        threading.Timer(0.3, setattr, (ranks.stop, "received", True)).start()
        with pytest.raises(Stopped):
            open_store(images, recipe(), tmp_path / "features", ranks)


def test_where_claims_exclude_nobody_all_end_with_a_good_store(tmp_path, images, monkeypatch):
    """Lustre with localflock, or two nodes that see each other's files late: both build, one renames first."""
    monkeypatch.setattr(store_builder, "_lease_on", lambda final, ranks: (None, store_builder.MISSING))
    whole = opened(tmp_path / "elsewhere", images)
    for turn in range(6):
        folder = tmp_path / str(turn)

        def build_slowly(pause_s: float, folder=folder) -> None:
            made_by = recipe()
            row = made_by.row

            def slow_row(image, device):
                time.sleep(pause_s)
                return row(image, device)

            made_by.row = slow_row
            store = opened(folder, images, made_by)
            assert all(torch.equal(store[i], whole[i]) for i in range(4))

        processes = [in_process(build_slowly, pause_s) for pause_s in (0.0, 0.01 * turn, 0.05)]
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0, 0]
        store = opened(folder, images)
        assert store.recipe.seen == 0 and all(torch.equal(store[i], whole[i]) for i in range(4))
        assert [path.name for path in (folder / "features").iterdir()] == [store.folder.name]


def test_a_store_that_vanishes_while_it_is_built_is_named(tmp_path, images):
    made_by = recipe()

    def vanish(image, device):
        shutil.rmtree(tmp_path / "features")
        return Recipe.row(made_by, image, device)

    made_by.row = vanish
    with pytest.raises(DataError, match=r"features/\w+: was removed while it was built .*; the same command builds it"):
        opened(tmp_path, images, made_by)
    assert len(opened(tmp_path, images).names) == len(images.names)


@pytest.mark.parametrize("how", ["unsupported", "absent"])
def test_a_store_is_built_where_space_cannot_be_taken_beforehand(tmp_path, images, monkeypatch, how):
    def unsupported(*_):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    if how == "absent":
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", unsupported)
    store = opened(tmp_path, images)
    monkeypatch.undo()
    whole = opened(tmp_path / "elsewhere", images)
    assert all(torch.equal(store[i], whole[i]) for i in range(4))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("kind", ["ramfs", "tmpfs"])
def test_a_store_is_built_on_a_file_system_without_fallocate(tmp_path, images, kind):
    folder = tmp_path / "mounted"
    folder.mkdir()
    if subprocess.run(("mount", "-t", kind, kind, str(folder))).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        store = opened(folder, images)
        whole = opened(tmp_path, images)
        assert all(torch.equal(store[i], whole[i]) for i in range(4))
        del store
    finally:
        gc.collect()
        subprocess.run(("umount", "-l", str(folder)), check=True)


def test_a_store_of_somebody_else_is_read_where_nothing_may_be_written(tmp_path, images, monkeypatch):
    opened(tmp_path, images)

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("mkdir", "replace", "link", "utime", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    made_by = recipe()
    assert opened(tmp_path, images, made_by)[3].isfinite().all() and made_by.seen == 0
