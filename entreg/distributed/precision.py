"""The precision of matrix products and the algorithm of convolutions, from the settings and the machine."""

from __future__ import annotations

import torch

from entreg.config import Backbone, Hardware
from entreg.distributed.hardware import cpu_flags
from entreg.errors import SettingError


def precision_of(hardware: Hardware, kind: str) -> torch.dtype:
    """Return the dtype of the readout's matrix products on devices of this kind (cpu or cuda).

    `auto` is bfloat16 where the device computes it natively, else float32. Raises a SettingError where this PyTorch
    cannot compute in the requested precision.
    """
    return _dtype("hardware.precision", hardware.precision, kind)


def backbone_precision_of(backbone: Backbone, kind: str) -> torch.dtype:
    """Return the dtype of the backbone's products, see `precision_of`."""
    return _dtype("model.backbone.precision", backbone.precision, kind)


def convolution_of(hardware: Hardware, kind: str, precision: torch.dtype, stored: torch.dtype) -> str:
    """Return the algorithm of the backbone's convolutions, `direct` or `winograd`.

    `auto` is Winograd's algorithm where it is possible and the stored features are rounded by far more than its error.
    Raises a SettingError where the requested algorithm is not possible.

    precision, stored: those of the backbone's products and of the stored features
    """
    possible = kind == "cpu" and precision == torch.float32 and torch._nnpack_available()
    if hardware.convolution == "winograd" and not possible:
        raise SettingError(
            "hardware.convolution=winograd needs a CPU with AVX2 or NEON and model.backbone.precision=float32; "
            f"this is {kind}, {precision}\n"
            "  what is best here   hardware.convolution=auto"
        )
    if hardware.convolution == "auto":
        return "winograd" if possible and stored != torch.float32 else "direct"
    return hardware.convolution


def _dtype(setting: str, value: str, kind: str) -> torch.dtype:
    if value == "float16" and kind == "cpu" and not _cpu_computes_in_float16():
        raise SettingError(
            f"{setting}=float16: PyTorch {torch.__version__} computes in float16 only on GPUs\n"
            f"  what is best here   {setting}=auto"
        )
    if value != "auto":
        precision: torch.dtype = getattr(torch, value)
        return precision
    if kind == "cuda":
        # is_bf16_supported is also true for GPUs that emulate it
        native = torch.cuda.get_device_capability()[0] >= 8
    else:
        native = not cpu_flags().isdisjoint({"amx_bf16", "avx512_bf16"})
    return torch.bfloat16 if native else torch.float32


def _cpu_computes_in_float16() -> bool:
    try:
        with torch.autocast("cpu", torch.float16):
            return torch.is_autocast_cpu_enabled()  # some versions warn and compute in float32
    except RuntimeError:  # older versions raise
        return False
