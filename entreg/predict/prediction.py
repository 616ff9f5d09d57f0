"""task=predict: the log density of every image in a folder, as files and pictures."""
from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from matplotlib.figure import Figure

from entreg import files
from entreg.config import Config
from entreg.data.images import pictures_below, read_rgb
from entreg.data.names import refuse_link_out
from entreg.errors import DataError, SettingError, UserError
from entreg.predict import maps
from entreg.predict.trained import Trained, finished_in
from entreg.progress import Progress
from entreg.ranks import Ranks
from entreg.report import panels
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically
from entreg.run.launch import launch
from entreg.run.provenance import provenance
from entreg.study.finished import read, typed_keys

log = logging.getLogger(__name__)

TOLD_FAILURES = 20  # the table has them all


def check(config: Config) -> None:
    """What can be said before anything is read. SettingError where the run or the images are not named."""
    if config.run is None or config.images is None:
        raise SettingError("task=predict needs a finished run and a folder of images: run=FOLDER images=FOLDER")


def predict(config: Config, folder: RunFolder) -> int | None:
    """Predicts the images below config.images by config.run; the number of images.

    UserError at the end where some could not be read; all others are done. None where it stopped to be requeued.
    """
    return launch(predict_all, config, folder)


def predict_all(ranks: Ranks, config: Config, folder: RunFolder) -> int:
    """What `predict` does, on one rank. Stopped where the run was asked to stop: the same command goes on."""
    compute_deterministically()
    run, images = finished_in(Path(config.run or "")), Path(config.images or "")
    if not images.is_dir():
        raise DataError(f"images={images}: there is no such folder")
    paths = pictures_below(images)
    if not paths:
        raise DataError(f"images={images}: there is no image of a type that Pillow reads")
    typed = typed_keys()
    trained = Trained(read(run, config, loads_data=not run.center_bias.is_file()), ranks.device, typed)
    log.info("%d images; features: %s", len(paths), trained.arithmetic)
    folder.write_config(config)
    start = provenance(
        ranks.device.type, {}, fingerprints=trained.run.state["fingerprints"] | {"run": files.sha256(run.final)},
        features=trained.recipe.describe([]),
    )
    folder.add_start(start)
    rows = _rows(ranks, config, folder, trained, paths, start["fingerprints"]["run"])
    files.write_csv(folder.predictions_table, rows)
    done = [row["image"] for row in rows if not row["failure"]]
    if config.prediction.hdf5:
        keys = maps.shortest(list(paths))
        maps.write_hdf5(folder.log_densities, {name: folder.log_density(name) for name in done}, keys)
    if len(done) < len(rows):
        failures = [row["failure"] for row in rows if row["failure"]]
        more = [f"... and {len(failures) - TOLD_FAILURES} more, see {folder.predictions_table}"]
        raise UserError("\n  ".join([
            f"{len(failures)} of {len(rows)} images could not be predicted, the others are done:",
            *failures[:TOLD_FAILURES], *more * (len(failures) > TOLD_FAILURES),
        ]))
    folder.finish()
    print(folder)
    return len(rows)


def _rows(
    ranks: Ranks, config: Config, folder: RunFolder, trained: Trained, paths: Mapping[str, Path], run_sha256: str
) -> list[dict[str, Any]]:
    """The rows of predictions.csv. What is there, of the same image and run, is not made again."""
    rows, made = [], 0
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
            rows.append(row | {"image": name})
            progress.step()
    failed = sum(bool(row["failure"]) for row in rows)
    log.info("%d images predicted, %d done before, %d could not be read", made, len(rows) - made - failed, failed)
    return rows


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
