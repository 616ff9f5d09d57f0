"""The precision of matrix products and the algorithm of convolutions, from the `hardware` settings and the machine."""

from __future__ import annotations

import torch

from entreg.config import Hardware
from entreg.distributed.hardware import cpu_flags
from entreg.errors import SettingError


def precision_of(hardware: Hardware, kind: str) -> torch.dtype:
    """Return the dtype of the matrix products of backbone and readout.

    `auto` is bfloat16 where the device computes it natively, else float32. Raises a SettingError where this PyTorch
    cannot compute in the requested precision.
    """
    if hardware.precision == "float16" and kind == "cpu" and not _cpu_computes_in_float16():
        raise SettingError(
            f"hardware.precision=float16: PyTorch {torch.__version__} computes in float16 only on GPUs\n"
            "  what is best here   hardware.precision=auto"
        )
    if hardware.precision != "auto":
        precision: torch.dtype = getattr(torch, hardware.precision)
        return precision
    if kind == "cuda":
        # is_bf16_supported is also true for GPUs that emulate it
        native = torch.cuda.get_device_capability()[0] >= 8
    else:
        native = not cpu_flags().isdisjoint({"amx_bf16", "avx512_bf16"})
    return torch.bfloat16 if native else torch.float32


def convolution_of(hardware: Hardware, kind: str, precision: torch.dtype, stored: torch.dtype) -> str:
    """Return the algorithm of the backbone's convolutions, `direct` or `winograd`.

    `auto` is Winograd's algorithm where it is possible and the stored features are rounded by far more than its error.
    Raises a SettingError where the requested algorithm is not possible.
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


def _cpu_computes_in_float16() -> bool:
    try:
        with torch.autocast("cpu", torch.float16):
            return torch.is_autocast_cpu_enabled()  # some versions warn and compute in float32
    except RuntimeError:  # older versions raise
        return False
