"""Features in memory: the same rows, once for all ranks, only where they fit, and nothing left of them afterwards."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from entreg.distributed.memory import AvailableMemory
from entreg.distributed.ranks import Ranks, StopFlag, Stopped
from entreg.errors import DataError, SettingError
from entreg.features import preload
from entreg.features.preload import preloaded
from entreg.features.store import FeatureStore
from tests.conftest import ROOT
from tests.features.pictures import TAPS, Pictures, in_process, opened, recipe

ALONE = Ranks()
ROW = 8 * 12 * 256 * 4  # bytes of a row of these pictures' features; a whole number of pages
NAME = "memfd:entreg-features"


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    return opened(tmp_path, Pictures(tmp_path))


@pytest.fixture
def elsewhere(monkeypatch):
    """As on a network file system, whose page cache is not relied on."""
    monkeypatch.setattr(preload, "LOCAL", set())


def leaves(monkeypatch, *free_bytes: int) -> None:
    """What is found to be left, from look to look; the last one for good."""
    found = list(free_bytes)
    monkeypatch.setattr(
        preload,
        "available_memory",
        lambda: AvailableMemory(found.pop(0) if len(found) > 1 else found[0], "the control group x"),
    )


def shared() -> list[str]:
    """Inodes of the memory that this process shares for features."""
    return [line.split()[4] for line in Path("/proc/self/maps").read_text().splitlines() if NAME in line]


def damage(store: FeatureStore, i: int) -> None:
    path, start, length = store.place(i)
    with path.open("r+b") as file:
        file.seek(start + length // 2)
        byte = file.read(1)[0]
        file.seek(start + length // 2)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("taps", [TAPS, ["conv2_1", "relu2_1"]], ids=["all stored", "without a ReLU"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_are_the_files_to_the_bit_and_only_those_that_are_wanted_are_held(tmp_path, dtype, taps):
    store = opened(tmp_path, Pictures(tmp_path), recipe(dtype, taps=taps))
    expected = [store[i].clone() for i in range(4)]
    with preloaded({store: [3, 1, 0, 3]}, "memory", ALONE):
        assert sorted(store.preloaded) == [0, 1, 3] and len(shared()) == 1
        for i, row in enumerate(expected):
            assert store[i].dtype == dtype and torch.equal(store[i], row)
        store.prefetch([0, 1, 2])
    assert store.preloaded == {} and shared() == []
    assert all(torch.equal(store[i], row) for i, row in enumerate(expected))


def test_every_row_is_read_once_and_in_the_files_order(store, monkeypatch):
    seen = []
    read = FeatureStore.read
    monkeypatch.setattr(FeatureStore, "read", lambda store, i, to: (seen.append(i), read(store, i, to)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    with preloaded({store: [3, 1, 0, 2, 2]}, "memory", ALONE):
        assert seen == [0, 2, 3, 1]  # 64x96.bin holds 0, 2 and 3, 96x64.bin holds 1
        store[0], store[1]
    assert len(seen) == 4


def test_several_stores_lie_in_one_memory(tmp_path):
    first, second = opened(tmp_path, Pictures(tmp_path)), opened(tmp_path, Pictures(tmp_path), recipe(seed=1))
    expected = first[2].clone(), second[2].clone()
    with preloaded({first: [2], second: [2, 0]}, "memory", ALONE):
        assert len(shared()) == 1
        assert torch.equal(first[2], expected[0]) and torch.equal(second[2], expected[1])
        assert second[0].data_ptr() == first[2].data_ptr() + ROW


@pytest.mark.parametrize("hold", ["map", "auto"])
def test_what_a_local_disks_page_cache_has_is_mapped(store, hold, caplog, monkeypatch):
    monkeypatch.setattr(FeatureStore, "cached_bytes", lambda store, i: ROW)
    monkeypatch.setattr(preload, "_file_systems", lambda: {store.folder.stat().st_dev: "ext4"})
    with caplog.at_level(logging.INFO), preloaded({store: range(4)}, hold, ALONE):
        assert store.preloaded == {}
    why = (
        "mapped, because of store.hold=map"
        if hold == "map"
        else "mapped and read ahead: the page cache of a local disk"
    )
    assert len(caplog.messages) == 1 and f"features: 0.00 GB of 4 images are {why}" in caplog.text


@pytest.mark.parametrize("kind, share, is_held", [("ext4", 0.9, False), ("ext4", 0.89, True), ("nfs4", 1, True)])
def test_auto_holds_what_the_page_cache_cannot_be_relied_on_for(store, kind, share, is_held, monkeypatch):
    monkeypatch.setattr(FeatureStore, "cached_bytes", lambda store, i: share * ROW)
    monkeypatch.setattr(preload, "_file_systems", lambda: {store.folder.stat().st_dev: kind})
    with preloaded({store: range(4)}, "auto", ALONE):
        assert bool(store.preloaded) == is_held


def test_the_kind_of_a_file_system_is_known_by_its_device():
    assert preload._file_systems()[Path("/proc").stat().st_dev] == "proc"


def test_half_of_what_is_left_is_the_most(store, monkeypatch, elsewhere, caplog):
    leaves(monkeypatch, 8 * ROW)
    with caplog.at_level(logging.INFO), preloaded({store: range(4)}, "auto", ALONE):
        assert sorted(store.preloaded) == [0, 1, 2, 3]
    leaves(monkeypatch, 8 * ROW - 1)
    with caplog.at_level(logging.INFO), preloaded({store: range(4)}, "auto", ALONE):
        assert store.preloaded == {}
    assert caplog.messages == [
        "features: 0.00 GB of 4 images are held in memory (the control group x had 0.00 GB left)",
        "features: 0.00 GB of 4 images are mapped and read ahead: more than half of the 0.00 GB that the control group "
        "x has left",
    ]
    with pytest.raises(SettingError) as refused, preloaded({store: range(4)}, "memory", ALONE):
        pass
    assert str(refused.value) == (
        "store.hold=memory: the features that are read need 0.00 GB, more than half of the 0.00 GB that the control "
        "group x has left; store.hold=auto maps them"
    )


def test_it_gives_way_to_others_that_take_memory_meanwhile(store, monkeypatch, elsewhere, caplog):
    """Two jobs that look at the same time must not both take half: what was read must be left once more."""
    monkeypatch.setattr(preload, "LOOK_EVERY_BYTES", 1)
    leaves(monkeypatch, 8 * ROW, 5 * ROW, 4 * ROW)
    with preloaded({store: range(4)}, "auto", ALONE):
        assert store.preloaded
    leaves(monkeypatch, 8 * ROW, 5 * ROW, 4 * ROW - 1)
    with caplog.at_level(logging.INFO), preloaded({store: range(4)}, "auto", ALONE):
        assert store.preloaded == {} and shared() == []
    assert "mapped and read ahead: the control group x no longer has as much memory left again" in caplog.text


def test_memory_that_the_system_refuses_is_no_end(store, monkeypatch, elsewhere, caplog):
    def refuse(size):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(preload, "create_shared", refuse)
    with caplog.at_level(logging.INFO), preloaded({store: range(4)}, "auto", ALONE):
        assert store.preloaded == {}
    assert "mapped and read ahead: there is no memory for them (Cannot allocate memory)" in caplog.text


@pytest.mark.parametrize("cut", [False, True])
def test_damaged_rows_are_refused_with_the_same_words(tmp_path, store, cut):
    if cut:
        os.truncate(store.place(3)[0], store.place(3)[1] + 5)
        words = "are damaged"
    else:
        damage(store, 3)
        with pytest.raises(DataError) as mapped:
            store[3]
        words = re.escape(str(mapped.value))
    with pytest.raises(DataError, match=words), preloaded({store: [0, 3]}, "memory", ALONE):
        pass
    assert store.preloaded == {}
    with preloaded({store: [0, 1, 2]}, "memory", ALONE):  # nobody wants the damaged one
        assert len(store.preloaded) == 3


def test_a_file_that_cannot_be_read_is_named(store):
    store.place(1)[0].unlink()
    words = "96x64.bin: cannot be read: No such file"
    with pytest.raises(DataError, match=words), preloaded({store: [1]}, "memory", ALONE):
        pass


def test_a_stop_is_heard_while_they_are_read(store, monkeypatch):
    monkeypatch.setattr(preload, "LOOK_EVERY_BYTES", 1)
    asked = StopFlag()
    asked.received = True
    with pytest.raises(Stopped), preloaded({store: range(4)}, "memory", Ranks(stop=asked)):
        pass
    assert store.preloaded == {} and shared() == []


@pytest.mark.parametrize("free, is_held", [(8 * ROW, True), (8 * ROW - 1, False)])
def test_a_devices_own_memory_comes_first_where_half_of_it_is_enough(store, monkeypatch, caplog, free, is_held):
    """The processor stands in for the device: its memory is plain tensors."""
    expected = [store[i].clone() for i in range(4)]
    monkeypatch.setattr(preload, "device_bytes", lambda device: free)
    monkeypatch.setattr(FeatureStore, "cached_bytes", lambda store, i: ROW)
    with caplog.at_level(logging.INFO), preloaded({store: range(4)}, "auto", ALONE):
        assert bool(store.preloaded) == is_held and shared() == []
        assert all(torch.equal(store[i], row) for i, row in enumerate(expected))
    assert ("held in the memory of cpu" in caplog.text) == is_held
    with preloaded({store: range(4)}, "memory", ALONE):
        assert sorted(store.preloaded) == [0, 1, 2, 3] and bool(shared()) != is_held
    damage(store, 3)
    with pytest.raises(DataError, match="features of 3.png are damaged"), preloaded({store: [3]}, "memory", ALONE):
        pass


def hold_as_rank(folder: Path, rank: int, numbers: list[int], wait: bool) -> None:
    """What one of two ranks sees goes into a file."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    store = opened(folder, Pictures(folder))
    expected, read, seen = [store[i].clone() for i in (0, 1, 2)], FeatureStore.read, []
    FeatureStore.read = lambda store, i, to: (seen.append(i), read(store, i, to))
    found = {"seen": seen}
    try:
        with preloaded({store: numbers}, "memory", Ranks(rank, 2)):
            found["inodes"] = shared()
            found["equal"] = [torch.equal(store[i], row) for i, row in enumerate(expected)]
            if wait:
                (folder / f"holds.{rank}").touch()
                time.sleep(60)
    except DataError as error:
        found["error"] = str(error)
    (folder / f"found.{rank}").write_text(json.dumps(found))
    os._exit(0)


def two_ranks(folder: Path, numbers: list[int], wait: bool = False):
    opened(folder, Pictures(folder))
    return [in_process(hold_as_rank, folder, rank, numbers, wait) for rank in range(2)]


def test_two_ranks_share_one_copy_and_its_reading(tmp_path):
    for process in two_ranks(tmp_path, [0, 1, 2]):
        process.join(60)
    first, second = (json.loads((tmp_path / f"found.{rank}").read_text()) for rank in range(2))
    assert first["seen"] == [0, 1] and second["seen"] == [2]
    assert first["equal"] == second["equal"] == [True, True, True]
    assert len(first["inodes"]) == 1 and first["inodes"] == second["inodes"]


def test_what_one_rank_finds_damaged_all_refuse(tmp_path):
    damage(opened(tmp_path, Pictures(tmp_path)), 3)
    for process in two_ranks(tmp_path, [0, 3]):
        process.join(60)
    first, second = (json.loads((tmp_path / f"found.{rank}").read_text()) for rank in range(2))
    assert first["error"] == second["error"] and "features of 3.png are damaged" in first["error"]


def files_in_memory() -> set[Path]:
    """Files in memory that could hold features; semaphores of other processes come and go."""
    return {path for path in Path("/dev/shm").iterdir() if not path.name.startswith("sem.")}


def test_nothing_is_left_of_ranks_that_are_killed(tmp_path):
    before = files_in_memory()
    ranks = two_ranks(tmp_path, [0, 1, 2], wait=True)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("holds.*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    inodes = {
        line.split()[4]
        for one in ranks
        for line in Path(f"/proc/{one.pid}/maps").read_text().splitlines()
        if NAME in line
    }
    assert len(inodes) == 1
    for one in ranks:
        os.kill(one.pid, signal.SIGKILL)
        one.join(60)
    assert files_in_memory() <= before


IN_A_GROUP = """
import os, sys
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
import logging
from pathlib import Path
from benchmarks.generated import settings, study
from entreg.features import held
from entreg.runs.folder import RunFolder
from entreg.training.training_group import TrainingGroup
from entreg.training.trainer import Trainer
logging.basicConfig(level="INFO")
held.LOCAL = set()
place = Path(sys.argv[2])
config = settings(epochs=2)
config.store.hold = "auto"
trainer = Trainer(study(place / "store", int(sys.argv[3]), config), RunFolder(place / "run"))
for _ in TrainingGroup([trainer]).run():
    pass
"""


@pytest.fixture
def group():
    """group(bytes): a control group of this process's own, with that limit."""
    made = []

    def build(limit: int) -> Path:
        lines = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
        for names, top, name in (
            ("memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("", "/sys/fs/cgroup", "memory.max"),
        ):
            own = Path(top + lines.get(names, "/nowhere")) / f"entreg-test-{os.getpid()}"
            try:
                own.mkdir()
                made.append(own)
                (own / name).write_text(str(limit))
                return own
            except OSError:
                continue
        pytest.skip("no control group with a limit can be made here (root, and memory among its controllers)")

    yield build
    for own in made:
        own.rmdir()


@pytest.mark.slow
@pytest.mark.parametrize("limit_gb, how", [(1.5, "mapped and read ahead"), (3.4, "held in memory")])
def test_a_store_of_a_gigabyte_is_trained_on_under_a_limit_without_being_killed(group, tmp_path, limit_gb, how):
    """Of 1.31 GB: more than half of the smaller limit, under which not even the page cache has room for all of it."""
    own = group(int(limit_gb * 1e9))
    done = subprocess.run(
        (sys.executable, "-c", IN_A_GROUP, str(own), str(tmp_path), "300"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert f"are {how}" in done.stderr and own.name in done.stderr and "epoch 2/2" in done.stderr
