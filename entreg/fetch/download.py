"""Downloading a published file: checked, resumed, and either whole or not there.

pooch (Uieda et al. 2020, doi 10.21105/joss.01943) tries again and compares hashes; `resume` is what it downloads with.
What is unfinished lies in a folder of its own.
"""
from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

import pooch
import requests

from entreg import files
from entreg.claims import make_once
from entreg.errors import DataError
from entreg.fetch.published import Published
from entreg.fetch.resume import Resuming, WrongFile, reason

TRIES = 6  # without any progress, and of a whole file whose hash is wrong

pooch.get_logger().setLevel(logging.WARNING)  # what it would say is said here


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
    return pooch.file_hash(str(path), algorithm) == digits


def _wrong(path: Path, published: Published) -> str:
    if published.known_hash:
        return f"is not the published file ({published.address}): its hash is not {published.known_hash}"
    return (
        f"is not the file that was downloaded earlier from {published.address}: its SHA-256 is not the one in "
        f"{_record_of(path)}; remove that to take the new file"
    )


def _download(published: Published, path: Path, known_hash: str | None) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    resuming = Resuming(published, unfinished)
    registry = pooch.create(
        unfinished, "", registry={path.name: known_hash}, urls={path.name: published.address},
        retry_if_failed=TRIES - 1,
    )
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
        for left in unfinished.glob("tmp*"):  # pooch's, of a process that was killed
            left.unlink()
        registry.fetch(path.name, downloader=resuming)
        os.replace(unfinished / path.name, path)
    except requests.RequestException as error:
        raise DataError(
            f"{published.address} cannot be downloaded: {reason(error)}\n"
            f"  try again later   the same command goes on with the {resuming.have / 1e6:,.1f} MB that are there\n"
            f"  do it by hand     put the file at {path}"
        ) from error
    except (WrongFile, ValueError) as error:  # pooch's ValueError: the hash is wrong after all tries
        resuming.discard()
        raise DataError(f"{path.name} {_wrong(path, published)}; nothing of it is kept") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    shutil.rmtree(unfinished, ignore_errors=True)
