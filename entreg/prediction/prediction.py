"""Predict the images of a folder one after the other: a file and pictures for each, and the rows of a table."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from matplotlib.figure import Figure

from entreg.config import Config
from entreg.data.images import read_rgb
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError, UserError
from entreg.io import files
from entreg.io.safe_paths import refuse_link_out
from entreg.prediction import map_files
from entreg.prediction.trained_model import TrainedModel
from entreg.progress import Progress
from entreg.report import panels
from entreg.runs.folder import RunFolder

log = logging.getLogger(__name__)

TOLD_FAILURES = 20  # failures that the message lists; the table lists all


def rows(
    ranks: Ranks, config: Config, folder: RunFolder, trained: TrainedModel, paths: Mapping[str, Path], run_sha256: str
) -> list[dict[str, Any]]:
    """Predict the images and return the rows of predictions.csv. Maps of the same image and run are not made again.

    paths: the images, by name; run_sha256: the SHA-256 of the run's final checkpoint
    """
    table, made = [], 0
    with Progress("predicting", len(paths), "image") as progress:
        for name, path in paths.items():
            ranks.stop_if_asked()
            row: dict[str, Any] = dict.fromkeys(("image", "height_px", "width_px", "entropy_nats", "failure"), "")
            try:
                values, is_new = _predict_one(config, folder, trained, name, path, run_sha256)
                made += is_new
                p = np.exp(values, dtype=np.float64)
                row |= {"height_px": p.shape[0], "width_px": p.shape[1], "entropy_nats": float(-(p * values).sum())}
            except UnreadablePhoto as error:
                log.warning("%s", error)
                row["failure"] = str(error)
            table.append(row | {"image": name})
            progress.step()
    failed = sum(bool(row["failure"]) for row in table)
    log.info("%d images predicted, %d done before, %d could not be read", made, len(table) - made - failed, failed)
    return table


def refuse_failures(predicted: Sequence[Mapping[str, Any]], table: Path) -> None:
    """Raise a UserError that names the images that could not be predicted, if any.

    table: the file that lists all of them
    """
    failures = [row["failure"] for row in predicted if row["failure"]]
    if failures:
        more = [f"... and {len(failures) - TOLD_FAILURES} more, see {table}"]
        raise UserError(
            "\n  ".join(
                [
                    f"{len(failures)} of {len(predicted)} images could not be predicted, the others are done:",
                    *failures[:TOLD_FAILURES],
                    *more * (len(failures) > TOLD_FAILURES),
                ]
            )
        )


class UnreadablePhoto(DataError):
    """An image cannot be read; the others can be predicted all the same."""


def _predict_one(
    config: Config, folder: RunFolder, trained: TrainedModel, name: str, path: Path, run_sha256: str
) -> tuple[np.ndarray, bool]:
    """Return the log density (H, W) of an image, float32, and whether it was made now."""
    map_path, pictures = folder.log_density(name), folder.pictures_of(name)
    try:
        refuse_link_out(path, Path(config.images or ""))
        made_from = hashlib.sha256(f"{files.sha256(path)} {run_sha256}".encode()).hexdigest()
        values = map_files.read_if_current(map_path, made_from)
        is_new = values is None
        photo = read_rgb(path) if is_new or config.prediction.pictures else None
    except OSError as error:
        raise UnreadablePhoto(f"{path} cannot be read: {error.strerror}") from error
    except DataError as error:
        raise UnreadablePhoto(str(error)) from error
    if values is None:
        assert photo is not None
        values = trained.log_density(photo).astype(np.float32)
    if (
        photo is not None
        and config.prediction.pictures
        and (is_new or not all(picture.is_file() for picture in pictures))
    ):
        _draw(pictures, panels.Prediction(name, "", photo, values, np.zeros(0), np.zeros(0)))
    if is_new:  # last of all: where this file exists, the image is done
        map_files.write(map_path, values, made_from)
    return values, is_new


def _draw(paths: tuple[Path, Path], example: panels.Prediction) -> None:
    """Draw the density alone and over the photo."""
    scale = panels.scale_of([example])
    for path, panel in zip(paths, (panels.density_panel, panels.over_photo_panel), strict=True):
        files.write(path, partial(_save, panel(example, scale)))


def _save(figure: Figure, file: BinaryIO) -> None:
    file.write(panels.png(figure))
