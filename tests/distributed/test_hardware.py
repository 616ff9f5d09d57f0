"""Devices and threads: from `hardware` and what the machine has, with an error that says what is there."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from entreg.config import Hardware
from entreg.distributed.hardware import cpu_flags, devices_of, processor_name, threads_of
from entreg.errors import SettingError
from tests.conftest import ROOT


@pytest.fixture
def gpus(monkeypatch):
    """gpus(n): a machine on which PyTorch sees so many; SLURM granted none."""
    for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)

    def seen(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return seen


@pytest.mark.parametrize("visible, expected", [(0, ("cpu", 1)), (1, ("cuda", 1)), (3, ("cuda", 3))])
def test_auto_takes_all_visible_gpus_or_the_cpu(gpus, visible, expected):
    gpus(visible)
    assert devices_of(Hardware(name="auto")) == expected


def test_the_cpu_can_be_asked_for_where_there_are_gpus(gpus):
    gpus(2)
    assert devices_of(Hardware(name="cpu4", kind="cpu", devices=4)) == ("cpu", 4)


def test_too_few_gpus_are_an_error_that_says_what_is_there(gpus):
    gpus(1)
    with pytest.raises(SettingError, match=r"hardware=gpu4 needs 4 GPU\(s\), and PyTorch .* sees 1\.\n.*hardware=auto"):
        devices_of(Hardware(name="gpu4", kind="cuda", devices=4))


def test_granted_gpus_that_pytorch_does_not_see_are_an_error_under_auto_alone(gpus, monkeypatch):
    gpus(0)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    with pytest.raises(SettingError, match="hardware=auto: SLURM granted GPUs 0,1,2,3 to this job, but PyTorch"):
        devices_of(Hardware(name="auto"))
    assert devices_of(Hardware(name="cpu4", kind="cpu", devices=4)) == ("cpu", 4)


def test_cores_are_shared_between_the_ranks(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [threads_of(Hardware(), ranks) for ranks in (1, 3, 16)] == [8, 2, 1]
    assert threads_of(Hardware(threads=5), 4) == 5


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_memory_that_was_freed_is_there_when_it_is_asked_for_again():
    """Twenty blocks of 8 MB, freed and asked for again five times: 2,000 pages each, that are cleared or are not.

    In the main thread and in another one. glibc's first thresholds are set before, since it moves them by itself as
    long as nobody has.
    """
    script = """
import ctypes, resource, sys, torch
from concurrent.futures import ThreadPoolExecutor
from entreg.distributed import hardware
for what in (hardware.TRIM_THRESHOLD, hardware.MMAP_THRESHOLD):
    ctypes.CDLL(None).mallopt(what, 2**17)
if sys.argv[1] == "kept":
    hardware.keep_freed_memory()
def work():
    for _ in range(5):
        blocks = [torch.ones(2**21) for _ in range(20)]
        del blocks
thread = ThreadPoolExecutor(1)
for do in (work, lambda: thread.submit(work).result()):
    do()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    do()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {
        word: subprocess.run(
            (sys.executable, "-c", script, word),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        ).stdout.split()
        for word in ("kept", "given back")
    }
    assert all(int(count) > 200_000 for count in faults["given back"]), faults
    assert all(int(count) < 20_000 for count in faults["kept"]), faults


def test_flags_and_name_of_the_processor_are_linux_words(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    monkeypatch.setattr(Path, "read_text", lambda self: "model name\t: Some CPU\nflags\t\t: fpu avx2 fma\n" * 2)
    assert cpu_flags() == {"fpu", "avx2", "fma"} and processor_name("cpu") == "Some CPU"
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    assert cpu_flags() == set() and processor_name("cpu") == "unknown CPU"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library than glibc")
def test_freed_memory_is_returned():
    """Of 200 MB in blocks of one, which a training keeps; a last block lies behind them and stays."""
    script = """
import torch
from entreg.distributed import hardware
def anonymous_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1]) / 1024
hardware.keep_freed_memory()
blocks = [torch.ones(2**18) for _ in range(200)]
last = torch.ones(2**18)
del blocks
kept = anonymous_mb()
hardware.return_freed_memory()
print(kept - anonymous_mb())
"""
    done = subprocess.run((sys.executable, "-c", script), cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 180
