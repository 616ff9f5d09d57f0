"""The progress of a training in TensorBoard (logger=tensorboard), which is imported only where it is used."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from entreg.errors import SettingError

log = logging.getLogger(__name__)


def check() -> None:
    """Raise a SettingError where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise SettingError(
            "logger=tensorboard needs TensorBoard, which is not installed here\n"
            "  install it          pip install tensorboard\n"
            "  do without          logger=csv (the tables that every run writes)"
        )


class Board:
    """The event file of a run. Each start begins a new one and writes all earlier epochs and steps into it again.

    Where the file cannot be written (on a full disk, for instance), the log warns once and the training goes on without
    it: the tables hold everything, and the next start writes it again.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        """Begin the event file in `folder`. settings: those of the run, as YAML."""
        from torch.utils.tensorboard import SummaryWriter

        self._folder, self._written = folder, {"epoch": 0, "step": 0}  # rows of each table
        self._writer: SummaryWriter | None = None
        with self._warning_once():
            shutil.rmtree(folder, ignore_errors=True)
            self._writer = SummaryWriter(str(folder))
            # TensorBoard shows indented text as it stands
            self._writer.add_text("settings", "\n".join(f"    {line}" for line in settings.splitlines()))

    def tell(self, history: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows of metrics.csv and steps.csv that are not written yet."""
        if self._writer is None:
            return
        with self._warning_once():
            for axis, rows in (("epoch", history), ("step", steps)):
                for row in rows[self._written[axis] :]:
                    for key, value in row.items():
                        if key not in ("epoch", "step") and value is not None:
                            self._writer.add_scalar(f"{axis}/{key}", value, row[axis])
                self._written[axis] = len(rows)
            self._writer.flush()

    def finish(self, pictures: Mapping[str, Path]) -> None:
        """Write the run's pictures, by name, and close the file."""
        if self._writer is None:
            return
        images = {}
        for name, path in pictures.items():
            with Image.open(path) as picture:
                images[name] = np.asarray(picture.convert("RGB"))
        with self._warning_once():
            for name, pixels in images.items():
                self._writer.add_image(name, pixels, self._written["epoch"], dataformats="HWC")
            self._writer.close()

    @contextmanager
    def _warning_once(self) -> Iterator[None]:
        """Warn where writing fails, and write nothing from then on."""
        try:
            yield
        except OSError as error:
            log.warning(
                "%s cannot be written: %s; the training goes on without it, and its tables hold everything",
                self._folder,
                error.strerror or error,
            )
            self._writer = None
