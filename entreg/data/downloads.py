"""The archives of published data sets: finding out which are missing, and downloading them below a set's root."""

from __future__ import annotations

import logging
from pathlib import Path

from entreg.config import Data, Download, PublishedData
from entreg.errors import DataError
from entreg.io import leases
from entreg.io.archives import unpacked, unpacking
from entreg.io.download import download, record, remove_unfinished
from entreg.io.leases import make_once
from entreg.io.published_file import Published

log = logging.getLogger(__name__)


def missing(settings: Data) -> list[Download]:
    """Return and log the archives of a data set that have to be downloaded.

    Raises a DataError where the data set is missing and cannot be downloaded.
    """
    try:
        settings.require()
        log.info("%s: found in %s", settings.name, settings.root)
        return []
    except DataError as error:
        absent = error
    if not isinstance(settings, PublishedData):
        raise absent
    if not (settings.downloads and settings.root):
        where = f"it is published at {settings.published_at}" if settings.published_at else "its address is unknown"
        raise DataError(f"{settings.name} cannot be downloaded: {where}\n{absent}") from absent
    root = Path(settings.root)
    archives = [archive for archive in settings.downloads.values() if not (root / archive.holds).exists()]
    if not archives:
        raise absent
    # one archive may hold several folders
    addresses = "".join(dict.fromkeys(f"\n  {_published(archive)}" for archive in archives))
    log.info(
        "%s: not in %s; licence: %s; to be downloaded:%s",
        settings.name,
        settings.root,
        settings.licence or "none stated",
        addresses,
    )
    return archives


def get(archive: Download, root: Path) -> None:
    """Download and unpack an archive of a data set. One of several processes does it, and the others wait."""
    published, target = _published(archive), root / archive.holds
    path = root / published.name

    def make() -> None:
        download(published, path)
        with unpacked(path, archive.holds) as content:
            if published.known_hash is None:
                record(path)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                content.rename(target)
            except OSError as error:
                raise DataError(f"{target}: cannot be created: {error.strerror}") from error
        log.info("%s: unpacked to %s; the archive can be removed", path, target)

    make_once(target, make)
    _remove_leftovers(archive, root)


def remove_leftovers(settings: Data) -> None:
    """Remove what a killed process has left beside the archives that it had downloaded and unpacked."""
    if isinstance(settings, PublishedData) and settings.root:
        for archive in settings.downloads.values():
            _remove_leftovers(archive, Path(settings.root))


def _remove_leftovers(archive: Download, root: Path) -> None:
    path, target = root / _published(archive).name, root / archive.holds
    leases.remove_leftovers(target, [unpacking(path)])
    if target.exists():
        remove_unfinished(path)


def _published(archive: Download) -> Published:
    return Published(archive.address, archive.hash, archive.size_bytes)
