"""The memory that is still available to a job under its control groups, its own limits and those of the machine.

Two system calls are here as well, which Python lacks, or only has where it was built with a newer C library.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

_LIBRARY = ctypes.CDLL(None, use_errno=True)
NO_LIMIT = 2**60  # bytes; version 1 of control groups writes a greater number where there is no limit


@dataclass(frozen=True, order=True)
class AvailableMemory:
    """The memory that is left under one limit.

    free_bytes: what a process can still allocate without being killed or refused
    limited_by: what sets the limit
    """

    free_bytes: int
    limited_by: str


def available_memory(root: Path = Path("/")) -> AvailableMemory:
    """Return the least memory that is left under any limit of this process; 0 bytes where the system does not say.

    Page cache that a control group could release counts as free.

    root: the folder of the system's files
    """
    try:
        meminfo = _numbers(root / "proc/meminfo")
        machine = AvailableMemory(meminfo["MemAvailable:"] * 1024, "this machine")
    except (OSError, KeyError):
        return AvailableMemory(0, "a system that does not report its memory")
    return min([machine, *_groups(root), *_address_space(root)])


def create_shared(size: int) -> int:
    """Return a handle to `size` bytes of new memory that other processes can open as well.

    It has no name, and the system frees it when no process has it open. Raises an OSError where the system cannot
    provide it.
    """
    create = getattr(_LIBRARY, "memfd_create", None)
    handle = -1 if create is None else create(b"entreg-features", ctypes.c_uint(1))  # 1: close it in other programs
    if handle < 0:
        number = ctypes.get_errno() if create is not None else errno.ENOSYS
        raise OSError(number, os.strerror(number))
    os.ftruncate(handle, size)
    return handle


def resident_bytes(address: int, length: int) -> int:
    """Return how many bytes of a mapping are in memory, in whole pages.

    For a file that this user may not write, the system reports all of it.
    """
    start = address // mmap.PAGESIZE * mmap.PAGESIZE
    pages = np.zeros(-(-(address + length - start) // mmap.PAGESIZE), dtype=np.uint8)
    arguments = ctypes.c_void_p(start), ctypes.c_size_t(address + length - start), ctypes.c_void_p(pages.ctypes.data)
    return 0 if _LIBRARY.mincore(*arguments) else int((pages & 1).sum()) * mmap.PAGESIZE


def _groups(root: Path) -> Iterator[AvailableMemory]:
    """Yield what is left in the control groups of the process and in their parents, up to the mounted one."""
    for start, top in _folders(root):
        folder = start
        while True:
            limits = _version_2(folder) or _version_1(folder)
            if limits is not None:
                limit, used = limits
                name = f"the control group {folder.relative_to(top) if folder != top else '/'}"
                yield AvailableMemory(max(0, limit - used), f"{name} (limit {limit / 1e9:.2f} GB)")
            if folder == top:
                break
            folder = folder.parent


def _folders(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folder of the process's group and the mounted folder, for each hierarchy that could limit memory."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    # each line is number:controllers:path, without controllers in version 2
    paths = {
        ("memory" if "memory" in names.split(",") else names): PurePosixPath(path)
        for _, names, path in (line.split(":", 2) for line in lines)
    }
    for line in mounts:
        before, _, after = line.partition(" - ")
        shown, mount = before.split()[3:5]
        kind, _, options = after.split(" ", 2)
        path = paths.get({"cgroup2": "", "cgroup": "memory" if "memory" in options.split(",") else "-"}.get(kind, "-"))
        if path is None:
            continue
        # a container may only see its own group, mounted where the topmost group is elsewhere
        below = path.relative_to(shown) if path.is_relative_to(shown) and ".." not in path.parts else PurePosixPath()
        top = root / mount.lstrip("/")
        yield top / below, top


def _version_2(folder: Path) -> tuple[int, int] | None:
    """Return the limit and the used bytes under version 2 of control groups; None where there is no limit."""
    try:
        # above `high` the system slows processes down until they nearly stop
        limits = [(folder / name).read_text().strip() for name in ("memory.max", "memory.high")]
        limit = min(int(text) for text in limits if text != "max")
        stat = _numbers(folder / "memory.stat")
        cache = stat["inactive_file"] + stat["active_file"] + stat.get("slab_reclaimable", 0)
        return limit, int((folder / "memory.current").read_text()) - cache
    except (OSError, ValueError, KeyError):
        return None


def _version_1(folder: Path) -> tuple[int, int] | None:
    """Return the limit and the used bytes under version 1 of control groups; None where there is no limit."""
    try:
        limit = int((folder / "memory.limit_in_bytes").read_text())
        stat = _numbers(folder / "memory.stat")
        used = int((folder / "memory.usage_in_bytes").read_text())
        return None if limit >= NO_LIMIT else (limit, used - stat["total_inactive_file"] - stat["total_active_file"])
    except (OSError, ValueError, KeyError):
        return None


def _address_space(root: Path) -> Iterator[AvailableMemory]:
    """Yield what is left under `ulimit -v`, where it is set."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        used = int((root / "proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        yield AvailableMemory(max(0, limit - used), f"ulimit -v ({limit / 1e9:.2f} GB)")


def _numbers(path: Path) -> dict[str, int]:
    """Return the first number of each line by the line's first word."""
    return {words[0]: int(words[1]) for words in map(str.split, path.read_text().splitlines())}
