"""The progress of a training in TensorBoard (logger=tensorboard)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from entreg.config import Config


class Board:
    """The event file of a run. Each start begins a new one and writes all earlier epochs and steps into it again."""

    def __init__(self, folder: Path, config: Config) -> None:
        """Begin the event file in `folder`."""
        self._written = {"epoch": 0, "step": 0}  # rows of each table
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder))
        # TensorBoard shows indented text as it stands
        settings = OmegaConf.to_yaml(OmegaConf.structured(config))
        self._writer.add_text("settings", "\n".join(f"    {line}" for line in settings.splitlines()))

    def tell(self, history: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows of metrics.csv and steps.csv that are not written yet."""
        for axis, rows in (("epoch", history), ("step", steps)):
            for row in rows[self._written[axis] :]:
                for key, value in row.items():
                    if key not in ("epoch", "step") and value is not None:
                        self._writer.add_scalar(f"{axis}/{key}", value, row[axis])
            self._written[axis] = len(rows)
        self._writer.flush()

    def finish(self, pictures: Mapping[str, Path]) -> None:
        """Write the run's pictures, by name, and close the file."""
        for name, path in pictures.items():
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._writer.add_image(name, pixels, self._written["epoch"], dataformats="HWC")
        self._writer.close()
