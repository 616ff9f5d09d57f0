"""task=prepare: gets the data sets and weights of a study and builds their features, so that its jobs need no network.

What is there is left alone and nothing is asked of the network for it.
"""

from __future__ import annotations

import logging
from pathlib import Path

from entreg.config import Config, Data, PublishedData
from entreg.data import downloads
from entreg.errors import DataError, SettingError
from entreg.features import backbone, weights
from entreg.ranks import Ranks
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically, devices_of
from entreg.run.launch import launch
from entreg.study.study import Stages, Study

log = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Check what can be said before anything is downloaded. SettingError where features could not be built."""
    backbone.check(config.model.backbone)
    backbone.check_convolution(config.model.backbone, config.hardware)


def prepare(config: Config, folder: RunFolder) -> None:
    """Download, unpack, count and build all that training and evaluation with this config read.

    DataError: something cannot be had, or is not what was published.
    """
    # what nobody can download is said before anything is
    missing = [(settings, downloads.missing(settings)) for settings in _sets(config).values()]
    wanted = weights.missing(config.model.backbone, Path(config.paths.weights))
    for settings, archives in missing:
        for archive in archives:
            downloads.get(archive, Path(settings.root or ""))
    if wanted is not None:
        weights.fetched(config.model.backbone.name, wanted, Path(config.paths.weights))
    try:
        devices_of(config.hardware)
    except SettingError as error:
        _count(config, Stages(Ranks()))
        log.warning("features are not built here; the first job builds them, without the network. %s", error)
    else:
        if not launch(build, config, folder):
            return  # stopped, to be requeued
    folder.finish()
    log.info("ready: training and evaluation with these settings need no network")


def build(ranks: Ranks, config: Config, _: RunFolder) -> bool:
    """Count and build features on one rank. DataError: a set is not the published one."""
    compute_deterministically()
    stages = Stages(ranks)
    _count(config, stages)
    study = Study(config, stages)
    parts = [study.training, study.validation, *map(study.foreign, config.ood)]
    for size in sorted({*study.training.sizes, study.landscape}):
        study.uniform(size)
    log.info("features: there for %d images", sum(map(len, parts)))
    return True


def _sets(config: Config) -> dict[str, Data]:
    return {"data": config.data} | {f"ood.{name}": settings for name, settings in config.ood.items()}


def _count(config: Config, stages: Stages) -> None:
    """Count images and fixations of all data sets. DataError where they are not those of the published set."""
    for key, settings in _sets(config).items():
        dataset = stages.data(settings).dataset
        if isinstance(settings, PublishedData):
            differences = settings.differences(len(dataset.stimuli), len(dataset.fixations))
            if differences:
                raise DataError(
                    f"{settings.name}: {differences[0]}\n"
                    "  get it anew             remove that folder\n"
                    f"  take it all the same    {key}.expected_images={len(dataset.stimuli)} "
                    f"{key}.expected_fixations={len(dataset.fixations)}"
                )
            counts = (settings.expected_images, "images"), (settings.expected_fixations, "fixations")
            known = " and ".join(f"{count} {what}" for count, what in counts if count is not None)
            log.info("%s: as published: %s", settings.name, known or "not known how many images and fixations")
