"""Preloading features that a training reads in every epoch: into a GPU's memory, or once for all ranks of a node.

A mapped store on a network file system, or on a machine that reclaims its page cache, would be read from the disk in
every epoch. All ranks make the same decision.
"""

from __future__ import annotations

import logging
import mmap
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from entreg.distributed.memory import available_memory, create_shared
from entreg.distributed.ranks import Ranks, Stopped
from entreg.distributed.threads import in_threads
from entreg.errors import SettingError, UserError
from entreg.features.store import FeatureStore
from entreg.progress import Progress

log = logging.getLogger(__name__)

LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}  # file systems
ENOUGH_CACHED = 0.9  # of the bytes; reading the rest from a local disk takes less time than filling memory with all
LOOK_EVERY_BYTES = 2**28  # how many bytes are read between two checks of the available memory


class Row(NamedTuple):
    """The features of an image: store, number in the store, first byte in memory, and number of bytes."""

    store: FeatureStore
    number: int
    start: int
    length: int


class _Mapped(Exception):
    """The features stay mapped; the message says why, as the end of a sentence."""


@contextmanager
def preloaded(wanted: Mapping[FeatureStore, Collection[int]], hold: str, ranks: Ranks) -> Iterator[None]:
    """Let the stores return these images' features from memory within the `with`, if `store.hold` says so and they fit.

    Every image's features are read once, in the order of the files, and their checksums are tested. Raises a
    SettingError where hold=memory and they do not fit, a DataError where some are damaged, and Stopped where the run
    was asked to stop.
    """
    rows = _rows(wanted)
    try:
        how = _load(rows, hold, ranks) if hold != "map" else "mapped, because of store.hold=map"
        if ranks.is_first:
            size = sum(row.length for row in rows)
            log.info("features: %.2f GB of %d images are %s", size / 1e9, len(rows), how)
        yield
    finally:
        for store in wanted:
            store.preloaded = {}


def device_bytes(device: torch.device) -> int | None:
    """Return the free bytes of a device's own memory; None where it uses the machine's memory."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def _rows(wanted: Mapping[FeatureStore, Collection[int]]) -> list[Row]:
    """Return the rows in the order of the files. In memory each begins on its own page."""
    rows, start = [], 0
    for store, numbers in wanted.items():
        for number in sorted(set(numbers), key=store.place):
            length = store.place(number)[2]
            rows.append(Row(store, number, start, length))
            start += -(-length // mmap.PAGESIZE) * mmap.PAGESIZE
    return rows


def _load(rows: list[Row], hold: str, ranks: Ranks) -> str:
    """Load the rows into memory where they fit, and return in words where the features are."""
    size = rows[-1].start + rows[-1].length
    try:
        free = [count for count in ranks.gather(device_bytes(ranks.device)) if count is not None]
        if free and size <= min(free) // 2:
            _on_device(rows, ranks)
            return f"held in the memory of {ranks.device.type} ({min(free) / 1e9:.2f} GB were free there)"
        if hold == "auto" and all(ranks.gather(_is_cached(rows))):
            raise _Mapped("the page cache of a local disk has them")
        available = min(ranks.gather(available_memory()))
        if size > available.free_bytes // 2:
            left = f"{available.free_bytes / 1e9:.2f} GB that {available.limited_by} has left"
            raise _Mapped(f"more than half of the {left}")
        _in_memory(rows, size, ranks)
    except _Mapped as reason:
        if hold == "memory":
            raise SettingError(
                f"store.hold=memory: the features that are read need {size / 1e9:.2f} GB, {reason}; "
                "store.hold=auto maps them"
            ) from None
        return f"mapped and read ahead: {reason}"
    copies = f", one copy for {ranks.world_size} ranks" if ranks.world_size > 1 else ""
    return f"held in memory{copies} ({available.limited_by} had {available.free_bytes / 1e9:.2f} GB left)"


def _is_cached(rows: list[Row]) -> bool:
    """Return whether the page cache is that of a local disk and has nearly all of the rows."""
    try:
        kinds = _file_systems()
        if not all(kinds.get(store.folder.stat().st_dev) in LOCAL for store in {row.store for row in rows}):
            return False
    except OSError:
        return False
    cached = sum(row.store.cached_bytes(row.number) for row in rows)
    return cached >= ENOUGH_CACHED * sum(row.length for row in rows)


def _file_systems() -> dict[int, str]:
    """Return the kind of each mounted file system by the number of its device."""
    kinds = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        major, minor = map(int, before.split()[2].split(":"))
        kinds[os.makedev(major, minor)] = after.split()[0]
    return kinds


def _on_device(rows: list[Row], ranks: Ranks) -> None:
    """Read all rows into the device memory of every rank, because any row may be in its batches."""
    features = {}

    def read(row: Row) -> None:
        memory = bytearray(row.length)
        row.store.read(row.number, memoryview(memory))
        features[row] = row.store.row(row.number, memory, 0).to(ranks.device)

    _in_agreement(partial(_read_all, rows, read, ranks), ranks)
    for row in rows:
        row.store.preloaded[row.number] = features[row]


def _in_memory(rows: list[Row], size: int, ranks: Ranks) -> None:
    """Read every row once into memory that all ranks of a node share, where each rank reads some of the rows."""
    nodes = ranks.gather(_node())
    peers = [rank for rank, node in enumerate(nodes) if node == nodes[ranks.rank]]
    memory = _memory(size, peers[0], ranks)

    def read(row: Row) -> None:
        with memoryview(memory) as whole, whole[row.start : row.start + row.length] as part:
            row.store.read(row.number, part)

    def check_memory() -> None:
        # other jobs may be allocating memory at the same time
        available = available_memory()
        if available.free_bytes < size:
            raise _Mapped(f"{available.limited_by} no longer has as much memory left again")

    share = rows[peers.index(ranks.rank) :: len(peers)]
    _in_agreement(partial(_read_all, share, read, ranks, check_memory), ranks)
    for row in rows:
        row.store.preloaded[row.number] = row.store.row(row.number, memory, row.start)


def _read_all(
    rows: list[Row], read: Callable[[Row], None], ranks: Ranks, check: Callable[[], None] = lambda: None
) -> None:
    unchecked_bytes = 0
    with Progress("features into memory", len(rows), "image") as progress:
        for row, _ in zip(rows, in_threads(read, rows), strict=True):
            progress.step()
            unchecked_bytes += row.length
            if unchecked_bytes >= LOOK_EVERY_BYTES:
                unchecked_bytes = 0
                ranks.stop_if_asked()
                check()


def _node() -> tuple[str, int]:
    """Return what processes have in common that can open each other's memory: the boot and the space of numbers."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(), Path("/proc/self/ns/pid").stat().st_ino


def _memory(size: int, first: int, ranks: Ranks) -> mmap.mmap:
    """Return memory that the ranks of a node share; rank `first` creates it. It disappears with the last process."""
    handle = -1
    memory: list[mmap.mmap] = []

    def create() -> None:
        nonlocal handle
        if ranks.rank == first:
            handle = create_shared(size)

    def attach() -> None:
        nonlocal handle
        if ranks.rank != first:
            handle = os.open(files[first], os.O_RDWR)
        memory.append(mmap.mmap(handle, size))

    try:
        _in_agreement(create, ranks)
        files = ranks.gather(f"/proc/{os.getpid()}/fd/{handle}")
        _in_agreement(attach, ranks)  # the handle of the first rank stays open until all ranks have their own
    finally:
        if handle >= 0:
            os.close(handle)
    return memory[0]


def _in_agreement(work: Callable[[], None], ranks: Ranks) -> None:
    """Do the work on every rank, and raise on all ranks what one of them raised; _Mapped where a node has no memory."""
    failure: Exception | None = None
    try:
        work()
    except (Stopped, UserError, _Mapped) as error:
        failure = error
    except OSError as error:
        failure = _Mapped(f"there is no memory for them ({error.strerror})")
    failures = [error for error in ranks.gather(failure, patient=True) if error is not None]
    try:
        if failures:
            raise failures[0]
    finally:
        del failure, failures  # the frame and the error would refer to each other and keep the memory
