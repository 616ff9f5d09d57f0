"""Checkpoints: everything that a run needs to resume with the same bits. torch.load(weights_only=True) reads them."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entreg.errors import DataError, UserError, brief
from entreg.io import files, tensors

log = logging.getLogger(__name__)

FORMAT = 1  # of a checkpoint's content; raise it when an earlier version would read the new content wrongly


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint. A kill at any moment leaves either the previous one or the new one."""
    tensors.write(path, {"format": FORMAT, **content})


def read(path: Path) -> dict[str, Any]:
    """Return a checkpoint on the CPU.

    Raises a DataError where the file cannot be read, is damaged or is not a checkpoint, and a UserError where another
    version of entreg wrote it.
    """
    content = tensors.read(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: is not a checkpoint, it holds a {type(content).__name__}; {files.WAY_OUT}")
    if not isinstance(content.get("format"), int):
        raise DataError(f"{path}: is not a checkpoint, its format is {brief(content.get('format'))}; {files.WAY_OUT}")
    if content["format"] != FORMAT:
        raise UserError(
            f"{path} was written by another version of entreg (format {content['format']}, this one reads {FORMAT}); "
            "use that version to resume"
        )
    return content


def newest(paths: Iterable[Path]) -> Path | None:
    """Return the first intact checkpoint. Damaged ones before it are renamed, and the log names them."""
    for path in paths:
        try:
            read(path)
        except DataError as error:
            aside = path.with_name(f"{path.name}.broken")
            path.replace(aside)
            log.warning("%s; renamed to %s", error, aside.name)
        else:
            return path
    return None


def random_state() -> dict[str, Any]:
    """Return the states of the random generators of torch, numpy and Python, as tensors and plain containers."""
    numpy_state = np.random.get_state()
    assert isinstance(numpy_state, tuple)  # legacy=False returns a dictionary
    name, keys, position, has_gauss, gauss = numpy_state
    version, state, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(state), gauss_next],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore the states that `random_state` returned."""
    torch.set_rng_state(state["torch"])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
