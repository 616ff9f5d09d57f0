"""task=predict: the log density of every image in a folder, as files and pictures."""

from __future__ import annotations

import logging
from pathlib import Path

from entreg import files
from entreg.config import Config
from entreg.data.images import pictures_below
from entreg.errors import DataError, SettingError
from entreg.predict import maps, prediction
from entreg.predict.trained import Trained, finished_in
from entreg.ranks import Ranks
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically
from entreg.run.launch import launch
from entreg.run.provenance import provenance
from entreg.study.finished import read, typed_keys

log = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Check what can be said before anything is read. SettingError where the run or the images are not named."""
    if config.run is None or config.images is None:
        raise SettingError("task=predict needs a finished run and a folder of images: run=FOLDER images=FOLDER")


def predict(config: Config, folder: RunFolder) -> int | None:
    """Predict the images below config.images by config.run; return the number of images.

    UserError at the end where some could not be read; all others are done. None where it stopped to be requeued.
    """
    return launch(predict_all, config, folder)


def predict_all(ranks: Ranks, config: Config, folder: RunFolder) -> int:
    """Predict on one rank. Stopped where the run was asked to stop: the same command goes on."""
    compute_deterministically()
    run, images = finished_in(Path(config.run or "")), Path(config.images or "")
    if not images.is_dir():
        raise DataError(f"images={images}: there is no such folder")
    paths = pictures_below(images)
    if not paths:
        raise DataError(f"images={images}: there is no image of a type that Pillow reads")
    trained = Trained(read(run, config, loads_data=False), ranks.device, typed_keys())
    log.info("%d images; features: %s", len(paths), trained.arithmetic)
    folder.write_config(config)
    start = provenance(
        ranks.device.type,
        {},
        fingerprints=trained.run.state["fingerprints"] | {"run": files.sha256(run.final)},
        features=trained.recipe.describe([]),
    )
    folder.add_start(start)
    rows = prediction.rows(ranks, config, folder, trained, paths, start["fingerprints"]["run"])
    files.write_csv(folder.predictions_table, rows)
    if config.prediction.hdf5:
        done = [row["image"] for row in rows if not row["failure"]]
        keys = maps.shortest(list(paths))
        maps.write_hdf5(folder.log_densities, {name: folder.log_density(name) for name in done}, keys)
    prediction.refuse_failures(rows, folder.predictions_table)
    folder.finish()
    print(folder)
    return len(rows)
