"""Files of tensors. They are pickles, so only this module reads them, and it never runs code that a file holds.

PyTorch promises this for `weights_only=True`. Before version 2.10 the promise was broken (CVE-2025-32434,
CVE-2026-24747), so pyproject.toml requires that version.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from entreg.errors import DataError, brief
from entreg.io import files


def write(path: Path, content: Any) -> None:
    """Write tensors and plain containers. A kill at any moment leaves either the previous file or the new one."""
    # torch's own writer hides the system's message where a write fails
    buffer = io.BytesIO()
    torch.save(content, buffer)
    files.write(path, lambda file: file.write(buffer.getbuffer()))


def read(path: Path) -> Any:
    """Return what the file holds, on the CPU.

    Files since PyTorch 1.6 are zip archives, whose checksums are tested first. Raises a DataError where the file is
    damaged or holds anything but tensors and plain containers.
    """
    try:
        if zipfile.is_zipfile(path):
            files.check_zip(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not all(tensor.device.type == "cpu" and tensor.layout == torch.strided for tensor in _tensors_in(content)):
            raise ValueError("a tensor in it has no plain values")
        return content
    except Exception as error:  # torch raises errors of many kinds for a damaged file
        first_line, *_ = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(error, pickle.UnpicklingError):  # PyTorch's message says how to load it without the protection
            first_line = "it is damaged, or holds other things than tensors, numbers and text"
        reason = f"cannot be read as a file of tensors: {brief(first_line)}"
        raise DataError(f"{path}: {reason}; restore it, or create it again") from error


def _tensors_in(content: Any) -> Iterator[torch.Tensor]:
    if isinstance(content, torch.Tensor):
        yield content
    elif isinstance(content, (dict, list, tuple)):
        for item in content.values() if isinstance(content, dict) else content:
            yield from _tensors_in(item)
