"""Requests that go on where an earlier one, or a killed process, has left off.

What is missing alone is asked for (range requests, RFC 9110 section 14), and a file that has changed meanwhile is
noticed: its pieces are never mixed.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import requests

from entreg import files
from entreg.errors import DataError
from entreg.fetch.published import Published
from entreg.progress import Progress

log = logging.getLogger(__name__)

TIMEOUT_S = (20, 60)  # to connect, and without a single byte
TRIES = 6  # requests one after the other that bring nothing
WAIT_S = 1.0  # after a broken request; times the number of those that brought nothing
PART_BYTES = 1 << 14  # of which a broken connection loses the last
LATER = (408, 425, 429)  # answers of a server that may answer otherwise soon, as do those from 500 on


class PartialFile:
    """What has come of a published file, in a folder where any process goes on with it.

    path: of the part that is there
    is_in_pieces: whether it came in more than one request, whose pieces may be of different files
    """

    def __init__(self, published: Published, folder: Path) -> None:
        self._published = published
        self.path, self._about = folder / "part", folder / "part.json"
        self.is_in_pieces = self.path.is_file()  # an earlier process's

    @property
    def have(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def discard(self) -> None:
        """Forgets what is there."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)
        self.is_in_pieces = False

    def complete(self) -> None:
        """Download what is missing.

        requests.RequestException where TRIES requests have brought nothing; DataError where the server says no.
        """
        furthest = in_vain = 0
        while not self._is_whole():
            try:
                self._get()
            except requests.RequestException as error:
                if _is_final(error):
                    raise DataError(f"{self._published.address} cannot be downloaded: {reason(error)}") from error
                log.warning("%s: %s; %.1f MB are there", self._published.name, reason(error), self.have / 1e6)
                in_vain = 0 if self.have > furthest else in_vain + 1
                furthest = max(furthest, self.have)
                if in_vain == TRIES:
                    raise
                time.sleep(WAIT_S * max(1, in_vain))

    def _is_whole(self) -> bool:
        about = self._known()
        return self.path.is_file() and (about.get("whole", False) or self.have == about.get("total"))

    def _known(self) -> dict[str, Any]:
        """What is known of the file that the part is of; empty where nothing is, or of another address."""
        try:
            about = files.read_json(self._about)
        except DataError:
            return {}
        return about if isinstance(about, dict) and about.get("address") == self._published.address else {}

    def _get(self) -> None:
        """One request. requests.RequestException where it brings less than the rest."""
        have, known = self.have, self._known()
        if not known:
            self.discard()
            have = 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if known.get("version"):
                headers["If-Range"] = known["version"]
        with requests.get(self._published.address, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code == 416:  # there is no such range: the file has become shorter
                self.discard()
                raise requests.ConnectionError("the file has changed on the server; starting again")
            answer.raise_for_status()
            start, total = _span(answer)
            about = {"address": self._published.address, "version": _version(answer), "total": total}
            if start and (start != have or about != known):
                self.discard()
                raise requests.ConnectionError("the file has changed on the server; starting again")
            if not start:
                self.discard()
                self._begin(about)
            self._receive(answer, start, total)
            if total is None:  # the connection's proper end is all that tells
                files.write_json(self._about, about | {"whole": True})

    def _begin(self, about: dict[str, Any]) -> None:
        total, expected = about["total"], self._published.size_bytes
        if expected and total and total != expected:
            raise DataError(
                f"{self._published.address} is not the published file: the server offers {total:,} bytes "
                f"instead of {expected:,}"
            )
        free = shutil.disk_usage(self.path.parent).free
        if total and total > free > 0:  # a file system in memory may not tell
            raise DataError(
                f"{self.path.parent.parent}: {self._published.name} needs {total / 1e9:.2f} GB, {free / 1e9:.2f} GB "
                "are free"
            )
        files.write_json(self._about, about)

    def _receive(self, answer: requests.Response, start: int, total: int | None) -> None:
        self.is_in_pieces |= start > 0
        with Progress(self._published.name, total, "B", start) as progress, open(self.path, "ab") as file:
            size = "a size that the server does not tell" if total is None else f"{total / 1e6:,.1f} MB"
            progress.say(size + (f", going on at {start / 1e6:,.1f}" if start else ""))
            for part in answer.iter_content(PART_BYTES):
                file.write(part)
                progress.step(len(part))
            file.flush()
            os.fsync(file.fileno())
        if total is not None and self.have != total:
            raise requests.ConnectionError(f"the server broke off after {self.have:,} of {total:,} bytes")


def _span(answer: requests.Response) -> tuple[int, int | None]:
    """(first byte, size of the whole file or None where it is not told) of what the server sends."""
    if answer.status_code != 206:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if not found:
        raise requests.ConnectionError("the server does not say which part of the file it sends")
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _version(answer: requests.Response) -> str | None:
    """What tells this version of the file from others, for If-Range, which does not take weak ETags."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified")


def _is_final(error: requests.RequestException) -> bool:
    """Whether trying again would change nothing: the address is none, or the server says no."""
    status = None if error.response is None else error.response.status_code
    return isinstance(error, ValueError) or (status is not None and status < 500 and status not in LATER)


def reason(error: requests.RequestException) -> str:
    """The reason in a few words."""
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    # what requests says quotes the errors below it
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
