"""task=prepare: gets the data sets and weights of a study and builds their features, so that its jobs need no network.

What is there is left alone and nothing is asked of the network for it.
"""
from __future__ import annotations

import logging
import os
from pathlib import Path

from entreg.claims import make_once
from entreg.config import Config, Data, Download, PublishedData
from entreg.errors import DataError, SettingError
from entreg.features import weights
from entreg.features.backbone import check_taps
from entreg.fetch.download import download, record
from entreg.fetch.published import Published
from entreg.fetch.unpack import unpacked
from entreg.ranks import Ranks
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically, devices_of
from entreg.run.launch import launch
from entreg.study.study import Stages, Study

log = logging.getLogger(__name__)


def check(config: Config) -> None:
    """What can be said of a config before anything is downloaded. SettingError where features could not be built."""
    check_taps(config.model.backbone.taps)


def prepare(config: Config, folder: RunFolder) -> None:
    """Downloads, unpacks, counts and builds all that training and evaluation with this config read.

    DataError: something cannot be had, or is not what was published.
    """
    # what nobody can download is said before anything is
    missing = [(settings, _missing(settings)) for settings in _sets(config).values()]
    wanted = _missing_weights(config)
    for settings, downloads in missing:
        for one in downloads:
            _get(one, Path(settings.root or ""))
    if wanted is not None:
        weights.fetched(wanted, Path(config.paths.weights))
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
    """One rank's part of the counting and of the features. DataError: a set is not the published one."""
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


def _missing(settings: Data) -> list[Download]:
    """What has to be downloaded of a data set; says it. DataError where the set is not there and cannot be."""
    try:
        settings.require()
        log.info("%s: there, in %s", settings.name, settings.root)
        return []
    except DataError as error:
        absent = error
    if not isinstance(settings, PublishedData):
        raise absent
    if not (settings.downloads and settings.root):
        where = f"it is published at {settings.published_at}" if settings.published_at else "no address is known for it"
        raise DataError(f"{settings.name} cannot be downloaded: {where}\n{absent}") from absent
    missing = [one for one in settings.downloads.values() if not Path(settings.root, one.holds).exists()]
    if not missing:
        raise absent
    addresses = "".join(dict.fromkeys(f"\n  {_published(one)}" for one in missing))  # an archive may hold several
    log.info("%s: not in %s; licence: %s; to be downloaded:%s",
             settings.name, settings.root, settings.licence or "none stated", addresses)
    return missing


def _missing_weights(config: Config) -> str | None:
    """The name of the weights that have to be downloaded; says it. DataError where a local file is missing."""
    wanted, folder = config.model.backbone.weights, Path(config.paths.weights)
    if wanted is None:
        log.info("weights: random, none are needed (model.backbone.weights=null)")
        return None
    path = weights.found(wanted, folder)
    if path is not None:
        log.info("weights: there, %s", path)
        return None
    log.info("weights: %s are not in %s; licence: none stated; to be downloaded:\n  %s",
             wanted, folder, weights.published(wanted))
    return wanted


def _published(one: Download) -> Published:
    return Published(one.address, one.hash, one.size_bytes)


def _get(one: Download, root: Path) -> None:
    """Downloads and unpacks an archive of a data set; of several processes one does, and the others wait."""
    published, target = _published(one), root / one.holds
    archive = root / published.name

    def make() -> None:
        download(published, archive)
        with unpacked(archive, one.holds) as found:
            if published.known_hash is None:
                record(archive)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(found, target)
            except OSError as error:
                raise DataError(f"{target}: cannot be put there: {error.strerror}") from error
        log.info("%s: unpacked to %s; the archive can be removed", archive, target)

    make_once(target, make)


def _count(config: Config, stages: Stages) -> None:
    """Counts images and fixations of all data sets. DataError where they are not those of the published set."""
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
