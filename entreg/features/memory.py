"""How much memory a job may still take: what its control groups, its own limits and the machine leave of it.

And two calls to the system that Python offers not at all, or only where it was built with a newer C library.
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
NO_LIMIT = 2**60  # bytes; version 1 of control groups writes a number beyond it for none


@dataclass(frozen=True, order=True)
class Room:
    """free_bytes: what can still be taken without being killed or refused; of: who sets that limit."""

    free_bytes: int
    of: str


def room(root: Path = Path("/")) -> Room:
    """The least that is left under any of the limits of this process; nothing where a system does not tell.

    Page cache that a group could give back counts as free. root: where the system's files lie
    """
    try:
        meminfo = _numbers(root / "proc/meminfo")
        machine = Room(meminfo["MemAvailable:"] * 1024, "this machine")
    except (OSError, KeyError):
        return Room(0, "a system that does not tell")
    return min([machine, *_groups(root), *_address_space(root)])


def nameless(size: int) -> int:
    """Handle of `size` bytes of new memory that other processes can open, too; it is gone when nobody has it any more.

    OSError where the system has none.
    """
    create = getattr(_LIBRARY, "memfd_create", None)
    handle = -1 if create is None else create(b"entreg-features", ctypes.c_uint(1))  # closed in other programs
    if handle < 0:
        number = ctypes.get_errno() if create is not None else errno.ENOSYS
        raise OSError(number, os.strerror(number))
    os.ftruncate(handle, size)
    return handle


def resident_bytes(address: int, length: int) -> int:
    """How much of what is mapped there is in memory, in whole pages; all of a file that this user may not write."""
    start = address // mmap.PAGESIZE * mmap.PAGESIZE
    pages = np.zeros(-(-(address + length - start) // mmap.PAGESIZE), dtype=np.uint8)
    asked = ctypes.c_void_p(start), ctypes.c_size_t(address + length - start), ctypes.c_void_p(pages.ctypes.data)
    return 0 if _LIBRARY.mincore(*asked) else int((pages & 1).sum()) * mmap.PAGESIZE


def _groups(root: Path) -> Iterator[Room]:
    """Of the control groups that the process is in, and of those that these are in, up to the one that is mounted."""
    for folder, top in _folders(root):
        while True:
            found = _version_2(folder) or _version_1(folder)
            if found is not None:
                limit, used = found
                name = f"the control group {folder.relative_to(top) if folder != top else '/'}"
                yield Room(max(0, limit - used), f"{name} (limit {limit / 1e9:.2f} GB)")
            if folder == top:
                break
            folder = folder.parent


def _folders(root: Path) -> Iterator[tuple[Path, Path]]:
    """(folder, folder that is mounted) of the process's group in each hierarchy that could limit memory."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    # number:controllers:path, without controllers in version 2
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
        # a container may see its own group alone, mounted where the uppermost one is elsewhere
        below = path.relative_to(shown) if path.is_relative_to(shown) and ".." not in path.parts else PurePosixPath()
        top = root / mount.lstrip("/")
        yield top / below, top


def _version_2(folder: Path) -> tuple[int, int] | None:
    """(limit, used) bytes; None where there is no limit."""
    try:
        # above `high` processes are slowed until they hardly go on
        limits = [(folder / name).read_text().strip() for name in ("memory.max", "memory.high")]
        limit = min(int(one) for one in limits if one != "max")
        stat = _numbers(folder / "memory.stat")
        cache = stat["inactive_file"] + stat["active_file"] + stat.get("slab_reclaimable", 0)
        return limit, int((folder / "memory.current").read_text()) - cache
    except (OSError, ValueError, KeyError):
        return None


def _version_1(folder: Path) -> tuple[int, int] | None:
    """(limit, used) bytes; None where there is no limit."""
    try:
        limit = int((folder / "memory.limit_in_bytes").read_text())
        stat = _numbers(folder / "memory.stat")
        used = int((folder / "memory.usage_in_bytes").read_text())
        return None if limit >= NO_LIMIT else (limit, used - stat["total_inactive_file"] - stat["total_active_file"])
    except (OSError, ValueError, KeyError):
        return None


def _address_space(root: Path) -> Iterator[Room]:
    """Of `ulimit -v`."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        used = int((root / "proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        yield Room(max(0, limit - used), f"ulimit -v ({limit / 1e9:.2f} GB)")


def _numbers(path: Path) -> dict[str, int]:
    """The first number of each line by the line's first word."""
    return {words[0]: int(words[1]) for words in map(str.split, path.read_text().splitlines())}
