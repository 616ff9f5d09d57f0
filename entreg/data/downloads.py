"""The archives of published data sets: which of them are missing, and how they come to lie below a set's root."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from entreg.claims import make_once
from entreg.config import Data, Download, PublishedData
from entreg.errors import DataError
from entreg.fetch.download import download, record
from entreg.fetch.published import Published
from entreg.fetch.unpack import unpacked

log = logging.getLogger(__name__)


def missing(settings: Data) -> list[Download]:
    """Return what has to be downloaded of a data set, and log it. DataError where it is not there and cannot be had."""
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
    archives = [one for one in settings.downloads.values() if not Path(settings.root, one.holds).exists()]
    if not archives:
        raise absent
    addresses = "".join(dict.fromkeys(f"\n  {_published(one)}" for one in archives))  # an archive may hold several
    log.info(
        "%s: not in %s; licence: %s; to be downloaded:%s",
        settings.name,
        settings.root,
        settings.licence or "none stated",
        addresses,
    )
    return archives


def get(one: Download, root: Path) -> None:
    """Download and unpack an archive of a data set; of several processes one does, and the others wait."""
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


def _published(one: Download) -> Published:
    return Published(one.address, one.hash, one.size_bytes)
