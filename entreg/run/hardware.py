"""Which devices a run uses, and in which precision: from `hardware` and what the machine has."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

from entreg.config import Hardware
from entreg.errors import SettingError

# of glibc's malloc.h: how much freed memory a thread keeps at most, from which size blocks are the system's own,
# and how much more than is needed is asked of the system at a time
TRIM_THRESHOLD, MMAP_THRESHOLD, TOP_PAD = -1, -3, -2


def devices_of(hardware: Hardware) -> tuple[str, int]:
    """Kind (cpu or cuda) and number of ranks. SettingError where the asked for is not there."""
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
            f"hardware={hardware.name} needs {devices} GPU(s), PyTorch {torch.__version__} sees {visible}.\n"
            "  use what is there   hardware=auto\n  no GPU              hardware=cpu"
        )
    return kind, devices


def precision_of(hardware: Hardware, kind: str) -> torch.dtype:
    """The dtype of the backbone's and the readout's products; `auto`: bfloat16 where the device computes it natively.

    SettingError where this PyTorch cannot compute in it.
    """
    if hardware.precision == "float16" and kind == "cpu" and not _cpu_computes_in_float16():
        raise SettingError(
            f"hardware.precision=float16: PyTorch {torch.__version__} computes in it on GPUs alone\n"
            "  what is best here   hardware.precision=auto"
        )
    if hardware.precision != "auto":
        return getattr(torch, hardware.precision)
    if kind == "cuda":
        # is_bf16_supported also says yes to GPUs that emulate it
        native = torch.cuda.get_device_capability()[0] >= 8
    else:
        flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
        native = "amx_bf16" in flags or "avx512_bf16" in flags
    return torch.bfloat16 if native else torch.float32


def convolution_of(hardware: Hardware, kind: str, precision: torch.dtype, stored: torch.dtype) -> str:
    """The backbone's algorithm, `direct` or `winograd`. SettingError where the one asked for is not there.

    `auto`: Winograd's where it can be used and what is stored is rounded by far more than its error.
    """
    possible = kind == "cpu" and precision == torch.float32 and torch._nnpack_available()
    if hardware.convolution == "winograd" and not possible:
        raise SettingError(
            "hardware.convolution=winograd needs a CPU with AVX2 or NEON and float32 products; "
            f"this is {kind}, {precision}\n"
            "  what is best here   hardware.convolution=auto"
        )
    if hardware.convolution == "auto":
        return "winograd" if possible and stored != torch.float32 else "direct"
    return hardware.convolution


def compute_deterministically() -> None:
    """The same input gives the same bits, and float32 is float32 on GPUs, too, whose convolutions would round to TF32.

    On the CPU every operation of ours is deterministic; where a GPU's is not PyTorch warns.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    # since PyTorch 2.2 this mode also writes NaN to all memory about to be overwritten: a fifth of a training step
    if hasattr(torch.utils, "deterministic"):
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set through a property


def keep_freed_memory() -> None:
    """Memory that a step has freed is kept for the next one: glibc gives it back, and the system clears it anew.

    Every step works on some MB for each image and thread; given back, that is 1,700 page faults for each image, and on
    virtual machines, where they are dear, half of a step. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for what, size in ((TRIM_THRESHOLD, 2**30), (MMAP_THRESHOLD, 2**25), (TOP_PAD, 2**26)):  # the greatest allowed
            mallopt(what, size)


def _cpu_computes_in_float16() -> bool:
    try:
        with torch.autocast("cpu", torch.float16):
            return torch.is_autocast_cpu_enabled()  # some versions warn and compute in float32
    except RuntimeError:  # older ones
        return False


def threads_of(hardware: Hardware, devices: int) -> int:
    """CPU threads of a rank: the cores this process may use, shared between the ranks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return hardware.threads or max(1, cores // devices)


def processor_name(kind: str) -> str:
    """Model name of the GPU or CPU."""
    if kind == "cuda":
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")
