"""Predict the images of a folder from a script or a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from entreg.cli import in_process
from entreg.command_line import quoted
from entreg.data.images import pictures_below
from entreg.errors import UserError
from entreg.library.compose import words_of
from entreg.library.train import TrainedRun
from entreg.prediction import map_files
from entreg.runs.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Predictions:
    """The log densities of a folder of images, each in a file of its own.

    images: the images' names, their paths below that folder
    """

    folder: Path
    images: tuple[str, ...]

    def log_density(self, image: str) -> np.ndarray:
        """Return the log density of an image by its name: (H, W) float32, nats, at the image's own size."""
        return map_files.read(RunFolder(self.folder).log_density(image))

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each image, as predictions.csv holds them."""
        import pandas as pd

        return pd.read_csv(RunFolder(self.folder).predictions_table)


def predict(
    run: str | Path | TrainedRun,
    images: str | Path,
    overrides: Sequence[str] = (),
    *,
    folder: str | Path | None = None,
) -> Predictions:
    """Predict every image below a folder with a finished run, as `python train.py predict RUN images=FOLDER` does.

    For images in memory: `entreg.load(run).log_density(array)`.

    overrides: such as `prediction.hdf5=true`
    folder: that of the predictions; None: outputs/STUDY

    Raises the errors of `entreg.train`, and a UserError at the end where images could not be read.
    """
    place = run.folder if isinstance(run, TrainedRun) else Path(run)
    named = [f"run={quoted(str(place))}", f"images={quoted(str(images))}"]
    done, count = in_process.perform([*words_of(overrides, folder), *named, "task=predict"])
    if count is None:
        raise UserError(f"{done}: the prediction was stopped on request; the same call goes on")
    return Predictions(done.path, tuple(pictures_below(Path(images))))
