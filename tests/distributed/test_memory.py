"""How much memory is left under control groups of either version, nested or seen from a container, and other limits."""

import ctypes
import mmap
import os
import resource
from pathlib import Path

import pytest

from entreg.distributed import memory
from entreg.distributed.memory import AvailableMemory, available_memory, create_shared, resident_bytes

GB = 2**30
V1 = "33 31 0:32 {shown} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V2 = "31 23 0:28 {shown} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(group, mount): the root of a system with 64 GB free, where this process is in that group."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def build(group, mount):
        own = tmp_path / "proc/self"
        own.mkdir(parents=True)
        (tmp_path / "proc/meminfo").write_text(f"MemTotal: {2**27} kB\nMemFree: 5 kB\nMemAvailable: {2**26} kB\n")
        (own / "cgroup").write_text(f"9:name=systemd:/elsewhere\n3:cpuset,cpu:/other\n{group}\n")
        (own / "mountinfo").write_text(f"22 27 0:21 / /proc rw - proc proc rw\n{mount}\n")
        (own / "statm").write_text("1024 100 50 10 0 300 0\n")
        return tmp_path

    return build


def version_1(folder, limit, used, cache):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    halves = f"total_inactive_file {cache // 2}\ntotal_active_file {cache - cache // 2}\n"
    (folder / "memory.stat").write_text(f"cache 7\ninactive_file 1\nactive_file 2\n{halves}")


def version_2(folder, limit, used, cache, high="max"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (("max", limit), ("high", high), ("current", used)):
        (folder / f"memory.{name}").write_text(f"{value}\n")
    halves = f"inactive_file {cache // 2}\nactive_file {cache - cache // 2}\n"
    (folder / "memory.stat").write_text(f"anon 5\nfile {cache}\n{halves}slab_reclaimable 0\n")


def test_without_groups_it_is_what_the_machine_has_available(machine):
    assert available_memory(machine("0::/", V2.format(shown="/"))) == AvailableMemory(64 * GB, "this machine")


def test_a_group_of_version_1_leaves_its_limit_without_what_is_used_and_is_no_page_cache(machine):
    root = machine("4:memory:/slurm/job_7", V1.format(shown="/"))
    version_1(root / "sys/fs/cgroup/memory/slurm/job_7", 4 * GB, 3 * GB, 2 * GB)
    version_1(root / "sys/fs/cgroup/memory/slurm", 2**63 - 4096, 9 * GB, 0)  # no limit, as version 1 writes it
    assert available_memory(root) == AvailableMemory(3 * GB, "the control group slurm/job_7 (limit 4.29 GB)")


def test_a_group_of_version_2_the_same(machine):
    root = machine("0::/user/me", V2.format(shown="/"))
    version_2(root / "sys/fs/cgroup/user/me", 4 * GB, 3 * GB, 2 * GB)
    version_2(root / "sys/fs/cgroup/user", "max", 9 * GB, 0)
    assert available_memory(root) == AvailableMemory(3 * GB, "the control group user/me (limit 4.29 GB)")


def test_the_limit_above_which_processes_are_slowed_counts_too(machine):
    root = machine("0::/me", V2.format(shown="/"))
    version_2(root / "sys/fs/cgroup/me", 8 * GB, 3 * GB, 0, high=5 * GB)
    assert available_memory(root).free_bytes == 2 * GB


@pytest.mark.parametrize(
    "write, group, mount",
    [
        (version_1, "4:memory:/a/b/c", V1),
        (version_2, "0::/a/b/c", V2),
    ],
)
def test_the_tightest_of_nested_groups_counts(machine, write, group, mount):
    root = machine(group, mount.format(shown="/"))
    top = root / ("sys/fs/cgroup/memory" if write is version_1 else "sys/fs/cgroup")
    write(top / "a", 10 * GB, 9 * GB, 0)
    write(top / "a/b", 20 * GB, 2 * GB, 0)
    write(top / "a/b/c", 5 * GB, 1 * GB, 0)
    assert available_memory(root) == AvailableMemory(1 * GB, "the control group a (limit 10.74 GB)")


@pytest.mark.parametrize("shown, path", [("/docker/7", "/docker/7"), ("/", "/../../docker/7"), ("/docker", "/other")])
def test_a_container_that_sees_its_own_group_alone(machine, shown, path):
    """Mounted where the uppermost one is elsewhere; the path may lead out of what is seen."""
    root = machine(f"0::{path}", V2.format(shown=shown))
    version_2(root / "sys/fs/cgroup", 2 * GB, GB, 0)
    assert available_memory(root) == AvailableMemory(GB, "the control group / (limit 2.15 GB)")


def test_a_group_beyond_its_limit_leaves_nothing(machine):
    root = machine("0::/", V2.format(shown="/"))
    version_2(root / "sys/fs/cgroup", GB, 2 * GB, 0)
    assert available_memory(root).free_bytes == 0


def test_a_limit_of_the_address_space(machine, monkeypatch):
    root = machine("0::/", V2.format(shown="/"))
    monkeypatch.setattr(memory.os, "sysconf", lambda name: 4096)
    monkeypatch.setattr(resource, "getrlimit", lambda what: (GB, GB))
    assert available_memory(root) == AvailableMemory(GB - 1024 * 4096, "ulimit -v (1.07 GB)")


def test_a_system_that_does_not_tell(tmp_path):
    assert available_memory(tmp_path) == AvailableMemory(0, "a system that does not report its memory")


def test_this_system_has_some():
    assert available_memory().free_bytes > 2**20


def test_shared_memory_is_what_was_asked_for_and_can_be_opened_by_others():
    handle = create_shared(3 * mmap.PAGESIZE)
    with mmap.mmap(handle, 3 * mmap.PAGESIZE) as ours:
        ours[4096] = 7
        with Path(f"/proc/{os.getpid()}/fd/{handle}").open("rb") as theirs:
            content = theirs.read()
    assert len(content) == 3 * mmap.PAGESIZE and content[4096] == 7
    assert str(Path(f"/proc/self/fd/{handle}").readlink()) == "/memfd:entreg-features (deleted)"
    os.close(handle)


def test_where_the_system_has_no_shared_memory_it_says_so(monkeypatch):
    monkeypatch.setattr(memory, "_LIBRARY", object())
    with pytest.raises(OSError, match="Function not implemented"):
        create_shared(1)


def test_pages_are_resident_as_soon_as_they_are_touched():
    page = mmap.PAGESIZE
    with mmap.mmap(-1, 8 * page) as touched:
        view = ctypes.c_char.from_buffer(touched)
        address = ctypes.addressof(view)
        assert resident_bytes(address, 8 * page) == 0
        touched[2 * page] = touched[5 * page + 1] = 1
        assert resident_bytes(address, 8 * page) == 2 * page
        assert resident_bytes(address + 2 * page + 100, 10) == page
        assert resident_bytes(address + 3 * page, 2 * page) == 0
        del view
