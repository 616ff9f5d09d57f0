"""Downloading a published file: checked, resumed, and either whole or not there.

What is unfinished lies in a folder of its own beside the file, see `resume`; it is moved when its hash is right.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

import requests

from entreg import files
from entreg.claims import make_once
from entreg.errors import DataError
from entreg.fetch.published import Published
from entreg.fetch.resume import PartialFile, reason

log = logging.getLogger(__name__)


def download(published: Published, path: Path) -> None:
    """Downloads a file to `path`; where it is there already, it is only checked and nothing is asked of the network.

    Several processes may call this at once: one downloads, the others wait. Without a published hash, one that
    `record` has left beside the file counts. DataError: the file cannot be had, or is not the published one.
    """
    known_hash = published.known_hash or recorded(path)
    if path.is_file() and known_hash and not _matches(path, known_hash):
        raise DataError(f"{path}: {_wrong(path, published)}\n  download it anew   remove it")
    make_once(path, lambda: _download(published, path, known_hash))


def record(path: Path) -> None:
    """Leaves the SHA-256 of a downloaded file beside it, as sha256sum writes it, to be held against the next download.

    For files whose publisher has published none, when they have proved to be whole.
    """
    if not _record_of(path).is_file():
        files.write_text(_record_of(path), f"{files.sha256(path)}  {path.name}\n")


def recorded(path: Path) -> str | None:
    """The recorded hash of a file, `sha256:` and the digits; None where there is none. DataError: it is unreadable."""
    if not _record_of(path).is_file():
        return None
    digits = _record_of(path).read_text(encoding="utf-8", errors="replace").partition(" ")[0]
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise DataError(f"{_record_of(path)} does not begin with a SHA-256; remove it to do without")
    return f"sha256:{digits}"


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _matches(path: Path, known_hash: str) -> bool:
    algorithm, _, digits = known_hash.partition(":")
    return files.digest_of(path, algorithm) == digits


def _wrong(path: Path, published: Published) -> str:
    if published.known_hash:
        return f"is not the published file ({published.address}): its hash is not {published.known_hash}"
    return (
        f"is not the file that was downloaded earlier from {published.address}: its SHA-256 is not the one in "
        f"{_record_of(path)}; remove that to take the new file"
    )


def _download(published: Published, path: Path, known_hash: str | None) -> None:
    folder = path.with_name(f".{path.name}.unfinished")
    partial = PartialFile(published, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.complete()
        is_right = not known_hash or _matches(partial.path, known_hash)
        if known_hash and not is_right and partial.is_in_pieces:
            log.warning(
                "%s: the pieces do not make the published file; downloading it once more as a whole", published.name
            )
            partial.discard()
            partial.complete()
            is_right = _matches(partial.path, known_hash)
        if not is_right:
            partial.discard()
            raise DataError(f"{path.name} {_wrong(path, published)}; nothing of it is kept")
        os.replace(partial.path, path)
    except requests.RequestException as error:
        raise DataError(
            f"{published.address} cannot be downloaded: {reason(error)}\n"
            f"  try again later   the same command goes on with the {partial.have / 1e6:,.1f} MB that are there\n"
            f"  do it by hand     put the file at {path}"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    shutil.rmtree(folder, ignore_errors=True)
