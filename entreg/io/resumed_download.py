"""Downloads that continue where an earlier request, or a killed process, stopped.

Only the missing bytes are requested (range requests, RFC 9110 section 14). A file that has changed on the server in the
meantime is noticed, and its pieces are never mixed.
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

from entreg.errors import DataError
from entreg.io import files
from entreg.io.published_file import Published
from entreg.progress import Progress

log = logging.getLogger(__name__)

TIMEOUT_S = (20, 60)  # to connect, and to wait for the next byte
TRIES = 6  # successive requests that bring nothing
WAIT_S = 1.0  # after a broken request, times the number of successive ones that brought nothing
PART_BYTES = 1 << 14  # written at a time; a broken connection loses the last part
LATER = (408, 425, 429)  # with those from 500 on, the status codes after which another attempt may succeed


class PartialFile:
    """The part of a published file that has been downloaded, in a folder where any process can continue it.

    path: the downloaded part
    is_in_pieces: whether it took more than one request, so that its pieces may belong to different files
    """

    def __init__(self, published: Published, folder: Path) -> None:
        self._published = published
        self.path, self._about = folder / "part", folder / "part.json"
        self.is_in_pieces = self.path.is_file()  # an earlier process has downloaded it

    @property
    def have(self) -> int:
        """The number of bytes that have been downloaded."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def discard(self) -> None:
        """Remove the downloaded part."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)
        self.is_in_pieces = False

    def complete(self) -> None:
        """Download what is missing.

        Raises a requests.RequestException where TRIES successive requests brought nothing, and a DataError where the
        server refuses the request.
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
        """Return what an earlier request recorded about the file, or nothing where it had another address."""
        try:
            about = files.read_json(self._about)
        except DataError:
            return {}
        return about if isinstance(about, dict) and about.get("address") == self._published.address else {}

    def _get(self) -> None:
        """Make one request. Raises a requests.RequestException where it does not bring all that is missing."""
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
            if answer.status_code == 416:  # the range does not exist, because the file has become shorter
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
            if total is None:  # only the regular end of the connection shows that the file is complete
                files.write_json(self._about, about | {"whole": True})

    def _begin(self, about: dict[str, Any]) -> None:
        total, expected = about["total"], self._published.size_bytes
        if expected and total and total != expected:
            raise DataError(
                f"{self._published.address} is not the published file: the server offers {total:,} bytes "
                f"instead of {expected:,}"
            )
        free = shutil.disk_usage(self.path.parent).free
        if total and total > free > 0:  # a file system in memory may report 0
            raise DataError(
                f"{self.path.parent.parent}: {self._published.name} needs {total / 1e9:.2f} GB, and "
                f"{free / 1e9:.2f} GB are free"
            )
        files.write_json(self._about, about)

    def _receive(self, answer: requests.Response, start: int, total: int | None) -> None:
        self.is_in_pieces |= start > 0
        with Progress(self._published.name, total, "B", start) as progress, self.path.open("ab") as file:
            size = "the server does not state the size" if total is None else f"{total / 1e6:,.1f} MB"
            progress.say(size + (f", continuing at {start / 1e6:,.1f} MB" if start else ""))
            for part in answer.iter_content(PART_BYTES):
                file.write(part)
                progress.step(len(part))
            file.flush()
            os.fsync(file.fileno())
        if total is not None and self.have != total:
            raise requests.ConnectionError(f"the server broke off after {self.have:,} of {total:,} bytes")


def _span(answer: requests.Response) -> tuple[int, int | None]:
    """Return the first byte that the server sends, and the size of the whole file or None where it is not stated."""
    if answer.status_code != 206:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if not span:
        raise requests.ConnectionError("the server does not say which part of the file it sends")
    return int(span[1]), None if span[2] == "*" else int(span[2])


def _version(answer: requests.Response) -> str | None:
    """Return what identifies this version of the file in If-Range, which does not accept weak ETags."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified")


def _is_final(error: requests.RequestException) -> bool:
    """Return whether another attempt is useless: the address is invalid, or the server refuses the request."""
    status = None if error.response is None else error.response.status_code
    return isinstance(error, ValueError) or (status is not None and status < 500 and status not in LATER)


def reason(error: requests.RequestException) -> str:
    """Return the reason of a failed request in a few words."""
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    # the message of requests quotes all errors below it, so the innermost one is used
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
