"""Downloading published files: an interrupted download is resumed, and only a complete, checked file appears.

An unfinished download lies in a folder of its own beside the file (see `resume`). It is moved into place when its hash
is right.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

import requests

from entreg.errors import DataError
from entreg.io import digests, files
from entreg.io.leases import make_once, remove_leftovers
from entreg.io.published_file import Published
from entreg.io.resumed_download import PartialFile, reason

log = logging.getLogger(__name__)


def download(published: Published, path: Path) -> None:
    """Download a file to `path`. A file that already lies there is only checked, without the network.

    Several processes may call this at once: one downloads, and the others wait. Where no hash is published, the file is
    compared with the hash that `record` has written beside it.

    Raises a DataError where the file cannot be downloaded or is not the published one.
    """
    known_hash = published.known_hash or recorded(path)
    if path.is_file() and known_hash and not _matches(path, known_hash):
        raise DataError(f"{path}: {_wrong(path, published)}\n  download it again   remove it")
    make_once(path, lambda: _download(published, path, known_hash))
    remove_unfinished(path)


def remove_unfinished(path: Path) -> None:
    """Remove what a process that was killed at the end of a download has left beside the file."""
    remove_leftovers(path, [_unfinished(path), *files.temporary_of(_record_of(path))])


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.unfinished")


def record(path: Path) -> None:
    """Write the SHA-256 of a downloaded file beside it, in sha256sum's format, to compare later downloads with.

    This is for files whose publisher states no hash; call it when the file has proved to be complete.
    """
    if not _record_of(path).is_file():
        files.write_text(_record_of(path), f"{digests.sha256(path)}  {path.name}\n")


def recorded(path: Path) -> str | None:
    """Return the recorded hash of a file as `sha256:DIGITS`, or None where none is recorded.

    Raises a DataError where the record cannot be read.
    """
    if not _record_of(path).is_file():
        return None
    digits = _record_of(path).read_text(encoding="utf-8", errors="replace").partition(" ")[0]
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise DataError(f"{_record_of(path)} does not begin with a SHA-256; remove it to skip the comparison")
    return f"sha256:{digits}"


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _matches(path: Path, known_hash: str) -> bool:
    algorithm, _, digits = known_hash.partition(":")
    return digests.digest_of(path, algorithm) == digits


def _wrong(path: Path, published: Published) -> str:
    if published.known_hash:
        return f"is not the published file ({published.address}): its hash is not {published.known_hash}"
    return (
        f"is not the file that was downloaded earlier from {published.address}: its SHA-256 is not the one in "
        f"{_record_of(path)}; remove that record to accept the new file"
    )


def _download(published: Published, path: Path, known_hash: str | None) -> None:
    folder = _unfinished(path)
    partial = PartialFile(published, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.complete()
        is_right = not known_hash or _matches(partial.path, known_hash)
        if known_hash and not is_right and partial.is_in_pieces:
            log.warning(
                "%s: the resumed download is not the published file; downloading it again in one piece", published.name
            )
            partial.discard()
            partial.complete()
            is_right = _matches(partial.path, known_hash)
        if not is_right:
            partial.discard()
            raise DataError(f"{path.name} {_wrong(path, published)}; the download was discarded")
        partial.path.replace(path)
    except requests.RequestException as error:
        raise DataError(
            f"{published.address} cannot be downloaded: {reason(error)}\n"
            f"  try again later   the same command continues after the {partial.have / 1e6:,.1f} MB that are there\n"
            f"  do it by hand     put the file at {path}"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    shutil.rmtree(folder, ignore_errors=True)
