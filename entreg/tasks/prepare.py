"""task=prepare: download the data sets and weights of a study and build its features, so that no job needs a network.

What is there already is neither changed nor asked of the network.
"""

from __future__ import annotations

import logging
from pathlib import Path

from entreg.config import Config, PublishedData
from entreg.data import downloads
from entreg.data.image_hashes import KnownHashes
from entreg.distributed.hardware import compute_deterministically, devices_of
from entreg.distributed.launch import launch
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError, SettingError
from entreg.features import backbone, weights
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache

log = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Raise a SettingError before anything is downloaded, where features could not be built with these settings."""
    backbone.check(config.model.backbone)
    backbone.refuse_unallowed(config.model.backbone, config.allow)
    backbone.check_convolution(config.model.backbone, config.hardware)


def prepare(config: Config, folder: RunFolder) -> None:
    """Download, unpack, count and build everything that training and evaluation with this config read.

    Raises a DataError where something cannot be downloaded, or is not what was published.
    """
    # before anything is downloaded, what nobody can download is refused
    missing = [(settings, downloads.missing(settings)) for settings in config.data_sets.values()]
    wanted = weights.missing(config.model.backbone, Path(config.paths.weights))
    for settings, archives in missing:
        for archive in archives:
            downloads.get(archive, Path(settings.root or ""))
        downloads.remove_leftovers(settings)
    if wanted is not None:
        weights.fetched(config.model.backbone.name, wanted, Path(config.paths.weights))
    try:
        devices_of(config.hardware)
    except SettingError as error:
        _count(config, StudyCache(Ranks()))
        log.warning("features are not built here; the first job builds them, without a network. %s", error)
    else:
        if not launch(build, config, folder):
            return  # it was stopped in order to be requeued
    folder.finish()
    log.info("ready: training and evaluation with these settings need no network")


def build(ranks: Ranks, config: Config, _: RunFolder) -> bool:
    """Count images and build features on one rank. Raises a DataError where a set is not the published one."""
    compute_deterministically()
    cache = StudyCache(ranks, KnownHashes(Path(config.paths.store), writes=ranks.is_first))
    _count(config, cache)
    study = Study(config, cache)
    images = len(study.training) + len(study.validation) + sum(len(study.foreign(name)) for name in config.ood)
    for size in sorted({*study.training.sizes, study.landscape}):
        study.uniform(size)
    log.info("the features of %d images are there", images)
    return True


def _count(config: Config, cache: StudyCache) -> None:
    """Count images and fixations of all data sets. Raises a DataError where they are not those of the published set."""
    for key, settings in config.data_sets.items():
        dataset = cache.data(settings).dataset
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
