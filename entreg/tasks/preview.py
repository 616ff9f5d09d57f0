"""task=preview: show what a data set looks like, its images with their fixations, before anything is trained on it."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from entreg.config import Config, Data
from entreg.data.plausibility.check import in_words
from entreg.distributed.ranks import Ranks
from entreg.progress import Progress
from entreg.report import preview_page
from entreg.runs.folder import RunFolder
from entreg.study.look import is_first_look, look_at
from entreg.study.study_cache import StudyCache

log = logging.getLogger(__name__)


def preview(config: Config, folder: RunFolder) -> None:
    """Draw the data set and the foreign sets in `folder`, and print the path of the page.

    Raises a DataError where a data set is missing or cannot be read. An image that cannot be read is named on the page.
    """
    sets = _sets(config)
    for settings in sets.values():
        settings.require()
    cache = StudyCache(Ranks())
    looks = {}
    for key, settings in sets.items():
        dataset = cache.stored(settings)
        look = look_at(dataset, settings, config.prior, config.seed)
        looks[key] = dataclasses.replace(look, implausible=tuple(in_words(dataset, settings)))
    with Progress("drawing", sum(len(look.examples) for look in looks.values()), "picture") as progress:
        preview_page.write(folder, looks, progress.step)
    for key, settings in sets.items():
        if not key.startswith("ood.") and not looks[key].implausible:  # else no training begins
            is_first_look(Path(config.paths.store), cache.subset(settings, "all").fingerprint())
    folder.finish()
    print(folder.preview)


def _sets(config: Config) -> dict[str, Data]:
    """Return the data sets by key: the embedded foreign set, which nobody asked for, is left out beside real data."""
    return {
        key: settings
        for key, settings in config.data_sets.items()
        if not key.startswith("ood.") or config.data.embedded or not settings.embedded
    }
