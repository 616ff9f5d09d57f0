"""The images of a folder predicted one after the other, each as a file and pictures, and a table of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from matplotlib.figure import Figure

from entreg import files
from entreg.config import Config
from entreg.data.images import read_rgb
from entreg.data.names import refuse_link_out
from entreg.errors import DataError, UserError
from entreg.predict import maps
from entreg.predict.trained import Trained
from entreg.progress import Progress
from entreg.ranks import Ranks
from entreg.report import panels
from entreg.run.folder import RunFolder

log = logging.getLogger(__name__)

TOLD_FAILURES = 20  # the table has them all


def rows(
    ranks: Ranks, config: Config, folder: RunFolder, trained: Trained, paths: Mapping[str, Path], run_sha256: str
) -> list[dict[str, Any]]:
    """Predict the images and return the rows of predictions.csv. What is there, of the same image and run, is kept.

    paths: of the images, by name; run_sha256: of the run's final checkpoint
    """
    found, made = [], 0
    with Progress("predicting", len(paths), "image") as progress:
        for name, path in paths.items():
            ranks.stop_if_asked()
            row: dict[str, Any] = dict.fromkeys(("image", "height_px", "width_px", "entropy_nats", "failure"), "")
            try:
                values, is_new = _one(config, folder, trained, name, path, run_sha256)
                made += is_new
                p = np.exp(values, dtype=np.float64)
                row |= {"height_px": p.shape[0], "width_px": p.shape[1], "entropy_nats": float(-(p * values).sum())}
            except UnreadablePhoto as error:
                log.warning("%s", error)
                row["failure"] = str(error)
            found.append(row | {"image": name})
            progress.step()
    failed = sum(bool(row["failure"]) for row in found)
    log.info("%d images predicted, %d done before, %d could not be read", made, len(found) - made - failed, failed)
    return found


def refuse_failures(predicted: Sequence[Mapping[str, Any]], table: Path) -> None:
    """UserError that names the images which could not be predicted, where there are some; table: has them all."""
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
    """One of the images cannot be read; the others can be predicted."""


def _one(
    config: Config, folder: RunFolder, trained: Trained, name: str, path: Path, run_sha256: str
) -> tuple[np.ndarray, bool]:
    """The log density (H, W) of an image, float32, and whether it was made now."""
    place, pictures = folder.log_density(name), folder.pictures_of(name)
    try:
        refuse_link_out(path, Path(config.images or ""))
        made_from = hashlib.sha256(f"{files.sha256(path)} {run_sha256}".encode()).hexdigest()
        values = maps.found(place, made_from)
        is_new = values is None
        photo = read_rgb(path) if is_new or config.prediction.pictures else None
    except OSError as error:
        raise UnreadablePhoto(f"{path} cannot be read: {error.strerror}") from error
    except DataError as error:
        raise UnreadablePhoto(str(error)) from error
    if values is None:
        assert photo is not None
        values = trained.log_density(photo).astype(np.float32)
    if photo is not None and config.prediction.pictures and (is_new or not all(one.is_file() for one in pictures)):
        _draw(pictures, panels.Prediction(name, "", photo, values, np.zeros(0), np.zeros(0)))
    if is_new:  # last: where it is, the image is done
        maps.write(place, values, made_from)
    return values, is_new


def _draw(places: tuple[Path, Path], example: panels.Prediction) -> None:
    scale = panels.scale_of([example])
    for place, panel in zip(places, (panels.density_panel, panels.over_photo_panel), strict=True):
        files.write(place, partial(_save, panel(example, scale)))


def _save(figure: Figure, file: BinaryIO) -> None:
    file.write(panels.png(figure))
