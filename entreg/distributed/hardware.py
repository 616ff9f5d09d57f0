"""The devices and threads of a run, from the `hardware` settings and the machine."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

from entreg.config import Hardware
from entreg.errors import SettingError

# from glibc's malloc.h: how much freed memory a thread keeps, from which size a block is mapped by itself, and how much
# memory is requested from the system beyond what is needed
TRIM_THRESHOLD, MMAP_THRESHOLD, TOP_PAD = -1, -3, -2


def devices_of(hardware: Hardware) -> tuple[str, int]:
    """Return the kind (cpu or cuda) and number of ranks. Raises a SettingError where these devices do not exist."""
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    granted = os.environ.get("SLURM_JOB_ID") and os.environ.get("CUDA_VISIBLE_DEVICES", "").strip()
    if hardware.kind == "auto" and visible == 0 and granted:
        raise SettingError(
            f"hardware={hardware.name}: SLURM granted GPUs {granted} to this job, but PyTorch {torch.__version__} sees "
            "none (a CPU build, or a driver that is too old). To train on the CPU anyway: hardware=cpu"
        )
    kind = ("cuda" if visible else "cpu") if hardware.kind == "auto" else hardware.kind
    devices = hardware.devices or (max(visible, 1) if kind == "cuda" else 1)
    if kind == "cuda" and devices > visible:
        raise SettingError(
            f"hardware={hardware.name} needs {devices} GPU(s), and PyTorch {torch.__version__} sees {visible}.\n"
            "  use what is there   hardware=auto\n  no GPU              hardware=cpu"
        )
    return kind, devices


def compute_deterministically() -> None:
    """Make PyTorch return the same bits for the same input, and compute float32 on GPUs without rounding to TF32.

    On the CPU every operation of this program is deterministic. PyTorch warns where one on a GPU is not.
    """
    # as torch.use_deterministic_algorithms(True, warn_only=True), which imports TorchInductor, and that takes seconds
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    # since PyTorch 2.2 this mode also fills all new memory with NaN, which takes a fifth of a training step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set through a property


def keep_freed_memory() -> None:
    """Let glibc keep the memory that a step has freed for the next one, instead of returning it to the system.

    Every step works on some MB for each image and thread. Returning them costs 1,700 page faults per image, which on
    virtual machines take half of a step. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in (
            (TRIM_THRESHOLD, 2**30),
            (MMAP_THRESHOLD, 2**25),
            (TOP_PAD, 2**26),
        ):  # the greatest allowed
            mallopt(option, size)


def return_freed_memory() -> None:
    """Let glibc return to the system what all threads have freed: after a backbone, more than a gigabyte."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def threads_of(hardware: Hardware, devices: int) -> int:
    """Return the number of CPU threads of a rank: by default the cores of this process divided by the ranks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return hardware.threads or max(1, cores // devices)


def cpu_flags() -> set[str]:
    """Return what the processor can do, in Linux' words; none where there is no /proc/cpuinfo."""
    return {flag for line in _cpu_lines() if line.startswith("flags") for flag in line.split(":", 1)[1].split()}


def processor_name(kind: str) -> str:
    """Return the model name of the GPU or CPU."""
    if kind == "cuda":
        return torch.cuda.get_device_name()
    names = (line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name"))
    return next(names, "unknown CPU")


def _cpu_lines() -> list[str]:
    return Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
