"""Checkpoints: everything that a run needs to go on to the bit-same result; load with torch.load(weights_only=True)."""
from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entreg import files
from entreg.errors import DataError


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint; a kill at any moment leaves the previous one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, lambda file: torch.save(content, file))


def read(path: Path) -> dict[str, Any]:
    """A checkpoint on the CPU. DataError names a file that cannot be read."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise DataError(f"{path}: cannot be read as a checkpoint ({error}); remove it to start from the beginning") from error


def random_state() -> dict[str, Any]:
    """States of the generators of torch, numpy and Python, as tensors and plain containers."""
    name, keys, position, has_gauss, gauss = np.random.get_state()
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
