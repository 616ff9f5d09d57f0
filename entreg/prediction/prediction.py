"""Predict the images of a folder one after the other: a file and pictures for each, and the rows of a table."""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from entreg.config import Config
from entreg.data.image_hashes import KnownHashes
from entreg.data.images import read_rgb, require_file
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError, UserError, brief
from entreg.io import files
from entreg.io.safe_paths import refuse_link_out
from entreg.prediction import map_files
from entreg.prediction.trained_model import TrainedModel
from entreg.progress import Progress
from entreg.report import panels
from entreg.runs.folder import RunFolder

log = logging.getLogger(__name__)

TOLD_FAILURES = 20  # failures that the message lists; the table lists all
NAME_ERRORS = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}  # with which file systems refuse a name
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # with which spreadsheets take a text for a formula


def rows(
    ranks: Ranks, config: Config, folder: RunFolder, trained: TrainedModel, paths: Mapping[str, Path], run_sha256: str
) -> list[dict[str, Any]]:
    """Predict the images and return the rows of predictions.csv. Maps of the same image and run are not made again.

    paths: the images, by name; run_sha256: the SHA-256 of the run's final checkpoint
    """
    table, made, hashes = [], 0, KnownHashes(Path(config.paths.store))

    def made_from(path: Path) -> str:
        return hashlib.sha256(f"{hashes.sha256([path])[0]} {run_sha256}".encode()).hexdigest()

    with Progress("predicting", len(paths), "image") as progress:
        for name, path in paths.items():
            ranks.stop_if_asked()
            row: dict[str, Any] = dict.fromkeys(("image", "height_px", "width_px", "entropy_nats", "failure"), "")
            try:
                values, is_new = _predict_one(config, folder, trained, name, path, made_from)
                made += is_new
                row |= {"height_px": values.shape[0], "width_px": values.shape[1], "entropy_nats": _entropy(values)}
            except PhotoFailed as error:
                log.warning("%s", error, exc_info=not isinstance(error.__cause__, (DataError, OSError)))
                row["failure"] = str(error)
            table.append(row | {"image": _in_table(name)})
            progress.step()
    hashes.keep()
    failed = sum(bool(row["failure"]) for row in table)
    log.info("%d images predicted, %d done before, %d failed", made, len(table) - made - failed, failed)
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


class PhotoFailed(DataError):
    """An image cannot be predicted; the others can be all the same."""


def _predict_one(
    config: Config,
    folder: RunFolder,
    trained: TrainedModel,
    name: str,
    path: Path,
    made_from: Callable[[Path], str],
) -> tuple[np.ndarray, bool]:
    """Return the log density (H, W) of an image, float32, and whether it was made now.

    made_from: of an image, the hash of its content and of the run's
    Raises a PhotoFailed for whatever the image itself runs into, and a DataError where the folder cannot be written.
    """
    map_path, pictures = folder.log_density(name), folder.pictures_of(name)
    drawn: tuple[bytes, ...] = ()
    with _failing_alone(path):
        _refuse_file(path, Path(config.images or ""))
        sources = made_from(path)
        values = map_files.read_if_current(map_path, sources)
        is_new = values is None
        draws = config.prediction.pictures and (is_new or not all(picture.is_file() for picture in pictures))
        photo = read_rgb(path) if is_new or draws else None
        if values is None:
            assert photo is not None
            values = trained.log_density(photo).astype(np.float32)
        if draws:
            assert photo is not None
            drawn = _drawn(panels.Prediction(name, "", photo, values, np.zeros(0), np.zeros(0)))
    try:
        for picture, content in zip(pictures, drawn, strict=False):
            files.write(picture, partial(_save, content))
        if is_new:  # last of all: where this file exists, the image is done
            map_files.write(map_path, values, sources)
    except DataError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in NAME_ERRORS:
            raise PhotoFailed(f"{error}. Give {path} another name") from error
        raise
    return values, is_new


@contextmanager
def _failing_alone(path: Path) -> Iterator[None]:
    """Turn whatever an image runs into, MemoryError as well, into a PhotoFailed that names it."""
    try:
        yield
    except DataError as error:
        raise PhotoFailed(str(error)) from error
    except OSError as error:
        raise PhotoFailed(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise PhotoFailed(f"{path} cannot be predicted: {brief(what)}") from error


def _refuse_file(path: Path, images: Path) -> None:
    """Raise a DataError where the path is not a file below the folder of images, or its name is not text."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: its name is not UTF-8; give it another name") from error
    refuse_link_out(path, images)
    require_file(path)


def _in_table(name: str) -> str:
    """Return the name of an image as it stands in the table, in which no program takes it for a formula."""
    return f"./{name}" if name.startswith(FORMULAS) else name


def _entropy(log_density: np.ndarray) -> float:
    """Return the entropy of a density (H, W), nats."""
    return float(-(np.exp(log_density, dtype=np.float64) * log_density).sum())


def _save(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _drawn(example: panels.Prediction) -> tuple[bytes, bytes]:
    """Return two PNGs: the density alone, and over the photo."""
    scale = panels.scale_of([example])
    return panels.png(panels.density_panel(example, scale)), panels.png(panels.over_photo_panel(example, scale))
