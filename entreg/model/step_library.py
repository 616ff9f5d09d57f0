"""Which version of the compiled step this machine has, and which one a training uses (`hardware.step`)."""

from __future__ import annotations

import ctypes
import hashlib
import os
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch

from entreg.config import Hardware
from entreg.distributed.hardware import cpu_flags
from entreg.errors import SettingError

# the flags of the processor that each version needs, the fastest version first; plain C (`c`) runs everywhere
NEEDS = {"avx512": {"avx512f", "fma", "f16c"}, "avx2": {"avx2", "fma", "f16c"}, "c": set[str]()}
TORCH = "torch"  # the version where PyTorch computes the step
# the fastest version that may be used, like PyTorch's ATEN_CPU_CAPABILITY
FASTEST = "ENTREG_STEP"
SOURCES = Path(__file__).with_name("step")


@cache
def available() -> tuple[str, ...]:
    """Return the compiled versions that are installed and that this processor runs, the fastest first.

    The environment variable ENTREG_STEP names the fastest one that may be used.
    """
    fastest = os.environ.get(FASTEST, next(iter(NEEDS)))
    if fastest not in NEEDS:
        raise SettingError(f"{FASTEST}={fastest} is not a version of the compiled step: {', '.join(NEEDS)}")
    allowed = [*NEEDS][[*NEEDS].index(fastest) :]
    flags = cpu_flags()
    return tuple(version for version in allowed if NEEDS[version] <= flags and _is_built(version))


@cache
def library(version: str) -> ctypes.CDLL:
    """Return the functions of a version that is available, see entreg/model/step/step.c."""
    loaded = ctypes.CDLL(str(_path(version)))
    for name in ("version", "compiler", "sources"):
        getattr(loaded, f"entreg_{name}").restype = ctypes.c_char_p
    return loaded


def description(version: str) -> str:
    """Return a version with the compiler that built it, which decides on its last digits; `torch` as it is."""
    return version if version == TORCH else f"{version} ({library(version).entreg_compiler().decode()})"


def candidates(
    hardware: Hardware, kind: str, precision: torch.dtype, stored: torch.dtype
) -> tuple[list[str], str | None]:
    """Return the versions that a training may use, the first choice first, and why none of them is compiled, if so.

    kind: of the devices; precision: that of the widest product; stored: that of the features

    Raises a SettingError where hardware.step=compiled is not possible.
    """
    if hardware.step == "plain":
        return [TORCH], "hardware.step=plain"
    reason = _why_not(kind, precision, stored)
    if hardware.step == "compiled":
        if reason is not None:
            raise SettingError(f"hardware.step=compiled: {reason}\n  what is best here   hardware.step=auto")
        return [*available()], None
    return ([*available(), TORCH], None) if reason is None else ([TORCH], reason)


def for_evaluation(hardware: Hardware) -> str:
    """Return the version that an evaluation adapts a run with: the fastest, or `torch` where none may be used."""
    return TORCH if hardware.step == "plain" or not available() else available()[0]


def _why_not(kind: str, precision: torch.dtype, stored: torch.dtype) -> str | None:
    """Return why the compiled step cannot be used; None where it can."""
    if kind != "cpu":
        return "the compiled step is for CPUs"
    if precision != torch.float32:
        return f"the compiled step computes in float32, and hardware.precision is {_name(precision)} here"
    if stored == torch.bfloat16:
        return "the compiled step reads float16 and float32 features, and store.dtype is bfloat16"
    if not available():
        return "the compiled step was not built from these sources: install a C compiler (gcc, clang) and entreg again"
    return None


def _is_built(version: str) -> bool:
    """Return whether a version is installed and, in a checkout, was built from the sources that are there."""
    if _path(version) is None:
        return False
    sources = sorted(SOURCES.glob("*.[ch]"))  # an installed wheel has none
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return not sources or library(version).entreg_sources().decode() == digest


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _path(version: str) -> Path | None:
    paths = (Path(__file__).with_name(f"_step_{version}{suffix}") for suffix in EXTENSION_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)
