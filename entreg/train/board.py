"""A training's progress for TensorBoard (logger=tensorboard), which is imported where it is asked for."""
from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from entreg.errors import SettingError


def check() -> None:
    """SettingError where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise SettingError(
            "logger=tensorboard needs TensorBoard, which is not installed here\n"
            "  have it             pip install tensorboard\n"
            "  do without          logger=csv (the tables that every run has)"
        )


class Board:
    """The event file of a run. It is begun anew with each start: what was told before is told again."""

    def __init__(self, folder: Path, settings: str) -> None:
        """settings: of the run, YAML"""
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder))
        self._told = {"epoch": 0, "step": 0}
        # indented, it is shown as it stands
        self._writer.add_text("settings", "\n".join(f"    {line}" for line in settings.splitlines()))

    def tell(self, history: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> None:
        """The rows of metrics.csv and steps.csv; those that were told before are passed over."""
        for axis, rows in (("epoch", history), ("step", steps)):
            for row in rows[self._told[axis]:]:
                for key, value in row.items():
                    if key not in ("epoch", "step") and value is not None:
                        self._writer.add_scalar(f"{axis}/{key}", value, row[axis])
            self._told[axis] = len(rows)
        self._writer.flush()

    def finish(self, pictures: Mapping[str, Path]) -> None:
        """The pictures that a run leaves, by name; nothing comes after them."""
        for name, path in pictures.items():
            with Image.open(path) as picture:
                self._writer.add_image(name, np.asarray(picture.convert("RGB")), self._told["epoch"], dataformats="HWC")
        self._writer.close()
