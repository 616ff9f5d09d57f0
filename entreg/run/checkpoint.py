"""Checkpoints: everything that a run needs to go on to the bit-same result; load with torch.load(weights_only=True)."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entreg import files, tensors
from entreg.errors import DataError, UserError, brief

log = logging.getLogger(__name__)

FORMAT = 1  # of what a checkpoint holds: to be raised when an earlier version would read it wrongly


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint; a kill at any moment leaves the previous one or the new one, whole."""
    tensors.write(path, {"format": FORMAT, **content})


def read(path: Path) -> dict[str, Any]:
    """A checkpoint on the CPU. DataError names a file that cannot be read, is damaged, or holds something else.

    UserError for one that is whole but not for us: of a later version, or from elsewhere where that is not safe.
    """
    found = tensors.read(path)
    if not isinstance(found, dict):
        raise DataError(f"{path}: is no checkpoint, it holds a {type(found).__name__}; {files.WAY_OUT}")
    if not isinstance(found.get("format"), int):
        raise DataError(f"{path}: is no checkpoint, its format is {brief(found.get('format'))}; {files.WAY_OUT}")
    if found["format"] != FORMAT:
        raise UserError(
            f"{path} was written by another version of entreg (format {found['format']}, this one reads {FORMAT}); "
            "go on with that version"
        )
    return found


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
