"""task=predict: write the log density of every image in a folder, as files and pictures."""

from __future__ import annotations

import logging
from pathlib import Path

from entreg.config import Config
from entreg.data.images import pictures_below
from entreg.distributed.hardware import compute_deterministically
from entreg.distributed.launch import launch
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError, SettingError
from entreg.io import digests, files, sums
from entreg.prediction import map_files, prediction
from entreg.prediction.trained_model import TrainedModel, finished_in
from entreg.runs.folder import RunFolder
from entreg.runs.provenance import provenance
from entreg.study.finished_run import read, typed_keys

log = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Raise a SettingError where the run or the images are not named."""
    if config.run is None or config.images is None:
        raise SettingError("task=predict needs a finished run and a folder of images: run=FOLDER images=FOLDER")


def predict(config: Config, folder: RunFolder) -> int | None:
    """Predict the images below config.images with the model of config.run; return the number of images.

    Raises a UserError at the end where some images could not be read; all others are predicted. Returns None where the
    task was stopped in order to be requeued.
    """
    count: int | None = launch(predict_all, config, folder)
    return count


def predict_all(ranks: Ranks, config: Config, folder: RunFolder) -> int:
    """Predict on one rank. Raises Stopped where the task was asked to stop: the same command goes on."""
    compute_deterministically()
    run, images = finished_in(Path(config.run or "")), Path(config.images or "")
    if not images.is_dir():
        raise DataError(f"images={images}: there is no such folder")
    paths = pictures_below(images)
    if not paths:
        raise DataError(f"images={images}: there is no image of a type that Pillow reads")
    typed = typed_keys(folder.read_typed())
    trained = TrainedModel(
        read(run, config, typed, loads_data=False), ranks.device, typed, of_set=config.prediction.set
    )
    log.info("%d images; features: %s", len(paths), trained.arithmetic)
    folder.write_config(config)
    start = provenance(
        ranks.device.type,
        {},
        fingerprints=trained.run.state["fingerprints"] | {"run": digests.sha256(run.final)},
        features=trained.recipe.describe([]),
    )
    folder.add_start(start | {"runs": {str(run): start["fingerprints"]["run"]}})
    rows = prediction.rows(ranks, config, folder, trained, paths, start["fingerprints"]["run"])
    files.write_csv(folder.predictions_table, rows)
    if config.prediction.hdf5:
        done = [row["image"] for row in rows if not row["failure"]]
        keys = map_files.shortest(list(paths))
        map_files.write_hdf5(folder.log_densities, {name: folder.log_density(name) for name in done}, keys)
    written = folder.predictions_table, folder.log_densities, *map(folder.log_density, paths)
    sums.write(folder.sums, sums.sums_of(folder.path, (folder.config, folder.typed, folder.provenance, *written)))
    prediction.refuse_failures(rows, folder.predictions_table)
    folder.finish()
    print(folder)
    return len(rows)
