"""Checkpoints: everything that a run needs to go on to the bit-same result; load with torch.load(weights_only=True).

A checkpoint is a zip archive, whose members carry checksums: they are tested before anything is read from it.
"""
from __future__ import annotations

import io
import logging
import os
import random
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entreg import files
from entreg.errors import DataError

log = logging.getLogger(__name__)


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint; a kill at any moment leaves the previous one or the new one, whole."""
    # torch's own writer hides what the system says where a write fails
    made = io.BytesIO()
    torch.save(content, made)
    files.write(path, lambda file: file.write(made.getbuffer()))


def read(path: Path) -> dict[str, Any]:
    """A checkpoint on the CPU. DataError names a file that cannot be read or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} does not match")
        found = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}")
        return found
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot be read as a checkpoint ({reason})") from error


def newest(paths: Iterable[Path]) -> Path | None:
    """The first of the files that is whole; those before it, which are damaged, are named and set aside."""
    for path in paths:
        try:
            read(path)
        except DataError as error:
            aside = path.with_name(f"{path.name}.broken")
            os.replace(path, aside)
            log.warning("%s; kept as %s", error, aside.name)
        else:
            return path
    return None


def random_state() -> dict[str, Any]:
    """States of the generators of torch, numpy and Python, as tensors and plain containers."""
    drawn = np.random.get_state()
    assert isinstance(drawn, tuple)  # legacy=False returns a dictionary
    name, keys, position, has_gauss, gauss = drawn
    version, state, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(state), gauss_next],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Undoes everything drawn since `random_state`."""
    torch.set_rng_state(state["torch"])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
