"""A training's progress for TensorBoard (logger=tensorboard), which is imported where it is asked for."""

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
    """SettingError where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise SettingError(
            "logger=tensorboard needs TensorBoard, which is not installed here\n"
            "  have it             pip install tensorboard\n"
            "  do without          logger=csv (the tables that every run has)"
        )


class Board:
    """The event file of a run. It is begun anew with each start: what was told before is told again.

    Where it cannot be written, on a full disk, say, this is warned of once and the training goes on without it: the
    tables have everything, and another start tells it again.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        """settings: of the run, YAML"""
        from torch.utils.tensorboard import SummaryWriter

        self._folder, self._told = folder, {"epoch": 0, "step": 0}
        self._writer: SummaryWriter | None = None
        with self._as_far_as_possible():
            shutil.rmtree(folder, ignore_errors=True)
            self._writer = SummaryWriter(str(folder))
            # indented, it is shown as it stands
            self._writer.add_text("settings", "\n".join(f"    {line}" for line in settings.splitlines()))

    def tell(self, history: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> None:
        """The rows of metrics.csv and steps.csv; those that were told before are passed over."""
        if self._writer is None:
            return
        with self._as_far_as_possible():
            for axis, rows in (("epoch", history), ("step", steps)):
                for row in rows[self._told[axis] :]:
                    for key, value in row.items():
                        if key not in ("epoch", "step") and value is not None:
                            self._writer.add_scalar(f"{axis}/{key}", value, row[axis])
                self._told[axis] = len(rows)
            self._writer.flush()

    def finish(self, pictures: Mapping[str, Path]) -> None:
        """The pictures that a run leaves, by name; nothing comes after them."""
        if self._writer is None:
            return
        shown = {}
        for name, path in pictures.items():
            with Image.open(path) as picture:
                shown[name] = np.asarray(picture.convert("RGB"))
        with self._as_far_as_possible():
            for name, pixels in shown.items():
                self._writer.add_image(name, pixels, self._told["epoch"], dataformats="HWC")
            self._writer.close()

    @contextmanager
    def _as_far_as_possible(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.warning(
                "%s: cannot be written: %s; the training goes on without it, its tables have everything",
                self._folder,
                error.strerror or error,
            )
            self._writer = None
