"""Features that a training reads again and again, kept in memory: in a GPU's own, or once for all ranks of a node.

Where a store is mapped, a network file system, or a machine that takes its page cache back, reads the same features
epoch after epoch. What is held stays. All ranks come to the same decision.
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

from entreg.errors import SettingError, UserError
from entreg.features.memory import nameless, room
from entreg.features.store import FeatureStore
from entreg.numerics import in_threads
from entreg.progress import Progress
from entreg.ranks import Ranks, Stopped

log = logging.getLogger(__name__)

LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}  # file systems
ENOUGH_CACHED = 0.9  # of the bytes: to read the rest from a local disk takes less time than to fill memory with all
LOOK_EVERY_BYTES = 2**28  # of what is read, at what is left of the memory


class Row(NamedTuple):
    """An image's features: store, number there, first byte in memory, bytes."""

    store: FeatureStore
    number: int
    start: int
    length: int


class _Mapped(Exception):
    """The features stay mapped; the message says why, as the end of a sentence."""


@contextmanager
def held(wanted: Mapping[FeatureStore, Collection[int]], hold: str, ranks: Ranks) -> Iterator[None]:
    """Meanwhile the stores give these images' features from memory, where `hold` (`store.hold`) says so and they fit.

    Each is read once, in the files' order, and tested. SettingError where hold=memory and they do not fit; DataError
    where some are damaged; Stopped where the run was asked to stop.
    """
    rows = _rows(wanted)
    try:
        said = _hold(rows, hold, ranks) if hold != "map" else "mapped, as store.hold=map asks for"
        if ranks.is_first:
            size = sum(row.length for row in rows)
            log.info("features: %.2f GB of %d images are %s", size / 1e9, len(rows), said)
        yield
    finally:
        for store in wanted:
            store.held = {}


def device_bytes(device: torch.device) -> int | None:
    """Free bytes of a device's own memory; None where its memory is the machine's."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def _rows(wanted: Mapping[FeatureStore, Collection[int]]) -> list[Row]:
    """In the files' order; each begins on a page of its own."""
    rows, start = [], 0
    for store, numbers in wanted.items():
        for number in sorted(set(numbers), key=store.place):
            length = store.place(number)[2]
            rows.append(Row(store, number, start, length))
            start += -(-length // mmap.PAGESIZE) * mmap.PAGESIZE
    return rows


def _hold(rows: list[Row], hold: str, ranks: Ranks) -> str:
    """Reads the rows to where they fit; how, in words."""
    size = rows[-1].start + rows[-1].length
    try:
        free = [one for one in ranks.gather(device_bytes(ranks.device)) if one is not None]
        if free and size <= min(free) // 2:
            _on_device(rows, ranks)
            return f"held in the memory of {ranks.device.type} ({min(free) / 1e9:.2f} GB were free there)"
        if hold == "auto" and all(ranks.gather(_is_cached(rows))):
            raise _Mapped("a local disk's page cache has them")
        found = min(ranks.gather(room()))
        if size > found.free_bytes // 2:
            raise _Mapped(f"more than half of the {found.free_bytes / 1e9:.2f} GB that {found.of} has left")
        _in_memory(rows, size, ranks)
    except _Mapped as reason:
        if hold == "memory":
            raise SettingError(
                f"store.hold=memory: the features that are read need {size / 1e9:.2f} GB, {reason}; "
                "store.hold=auto maps them"
            ) from None
        return f"mapped and read ahead: {reason}"
    copies = f", one copy for {ranks.count} ranks" if ranks.count > 1 else ""
    return f"held in memory{copies} ({found.free_bytes / 1e9:.2f} GB were left of {found.of})"


def _is_cached(rows: list[Row]) -> bool:
    """Whether the page cache can be relied on: it is a local disk's, and has nearly all of the rows."""
    try:
        kinds = _file_systems()
        if not all(kinds.get(store.folder.stat().st_dev) in LOCAL for store in {row.store for row in rows}):
            return False
    except OSError:
        return False
    cached = sum(row.store.cached_bytes(row.number) for row in rows)
    return cached >= ENOUGH_CACHED * sum(row.length for row in rows)


def _file_systems() -> dict[int, str]:
    """The kind of each mounted file system by its device's number."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        major, minor = map(int, before.split()[2].split(":"))
        found[os.makedev(major, minor)] = after.split()[0]
    return found


def _on_device(rows: list[Row], ranks: Ranks) -> None:
    """Every rank reads all rows, since any may come into its batches."""
    found = {}

    def read(row: Row) -> None:
        memory = bytearray(row.length)
        row.store.read(row.number, memoryview(memory))
        found[row] = row.store.row(row.number, memory, 0).to(ranks.device)

    _agreed(partial(_each, rows, read, ranks), ranks)
    for row in rows:
        row.store.held[row.number] = found[row]


def _in_memory(rows: list[Row], size: int, ranks: Ranks) -> None:
    """The ranks of a node share the reading, each row once, into memory that all of them see."""
    nodes = ranks.gather(_node())
    peers = [rank for rank, node in enumerate(nodes) if node == nodes[ranks.rank]]
    memory = _memory(size, peers[0], ranks)

    def read(row: Row) -> None:
        with memoryview(memory) as whole, whole[row.start : row.start + row.length] as own:
            row.store.read(row.number, own)

    def look() -> None:
        # other jobs may be taking theirs at the same time
        left = room()
        if left.free_bytes < size:
            raise _Mapped(f"{left.of} has no longer left as much again")

    _agreed(partial(_each, rows[peers.index(ranks.rank) :: len(peers)], read, ranks, look), ranks)
    for row in rows:
        row.store.held[row.number] = row.store.row(row.number, memory, row.start)


def _each(rows: list[Row], read: Callable[[Row], None], ranks: Ranks, look: Callable[[], None] = lambda: None) -> None:
    since = 0
    with Progress("features into memory", len(rows), "image") as progress:
        for row, _ in zip(rows, in_threads(read, rows), strict=True):
            progress.step()
            since += row.length
            if since >= LOOK_EVERY_BYTES:
                since = 0
                ranks.stop_if_asked()
                look()


def _node() -> tuple[str, int]:
    """The same for processes that can open each other's memory: of one running system, in one space of numbers."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(), os.stat("/proc/self/ns/pid").st_ino


def _memory(size: int, first: int, ranks: Ranks) -> mmap.mmap:
    """Memory of the node's rank `first`, which has no name: it is gone as soon as nobody has it, whoever is killed."""
    handle = -1
    memory: list[mmap.mmap] = []

    def create() -> None:
        nonlocal handle
        if ranks.rank == first:
            handle = nameless(size)

    def see() -> None:
        nonlocal handle
        if ranks.rank != first:
            handle = os.open(files[first], os.O_RDWR)
        memory.append(mmap.mmap(handle, size))

    try:
        _agreed(create, ranks)
        files = ranks.gather(f"/proc/{os.getpid()}/fd/{handle}")
        _agreed(see, ranks)  # the first one's handle is open until all have theirs
    finally:
        if handle >= 0:
            os.close(handle)
    return memory[0]


def _agreed(work: Callable[[], None], ranks: Ranks) -> None:
    """Does every rank's work; what one of them raised all of them raise. _Mapped where a system has no memory."""
    failure: Exception | None = None
    try:
        work()
    except (Stopped, UserError, _Mapped) as error:
        failure = error
    except OSError as error:
        failure = _Mapped(f"there is no memory for them ({error.strerror})")
    failures = [one for one in ranks.gather(failure, patient=True) if one is not None]
    try:
        if failures:
            raise failures[0]
    finally:
        del failure, failures  # a frame that names the error which names the frame would keep the memory
