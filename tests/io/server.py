"""A web server on the loopback address that behaves as badly as it is told to."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from entreg.io.resumed_download import PART_BYTES

NAME = "/set.zip"
CONTENT = np.random.Generator(np.random.PCG64(0)).bytes(1_000_000)
OTHER = CONTENT[::-1]
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
BREAK = 20 * PART_BYTES  # 327,680


def assert_whole_and_alone(path: Path) -> None:
    """The file is there, and nothing is left beside it."""
    assert path.read_bytes() == CONTENT
    assert [left.name for left in path.parent.iterdir()] == [path.name]


@dataclass
class Server:
    """What is served, how badly, and what was asked for.

    statuses: answers of the first requests, in place of the file
    break_after: bytes after which the first answers break off; None: that one does not
    declared: Content-Length of the first answers, in place of the true one
    asked: (path, Range header) of each request
    stall_s: after every 16 kB; pauses_s: of the first answers, in the middle of the file
    sent: bytes of the file that went out
    """

    files: dict[str, bytes]
    tag: str | None = '"1"'
    modified: str | None = None
    ranges: bool = True
    heeds_if_range: bool = True
    chunked: bool = False
    statuses: list[int] = field(default_factory=list)
    break_after: list[int | None] = field(default_factory=list)
    declared: list[int | None] = field(default_factory=list)
    stall_s: float = 0.0
    pauses_s: list[float] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: int = 0
    address: str = ""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    """A server of files by path, such as {"/a.zip": ...}."""
    server = Server(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:  # noqa: N802
            self.close_connection = True
            server.asked.append((self.path, self.headers["Range"]))
            status = server.statuses.pop(0) if server.statuses else 200
            content = server.files.get(self.path)
            if status != 200 or content is None:
                self.send_response(404 if status == 200 else status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start, wanted = 0, re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            known = self.headers["If-Range"]
            unchanged = known in (None, server.tag, server.modified) or not server.heeds_if_range
            if wanted and server.ranges and unchanged:
                start = int(wanted[1])
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self._send(content[start:])

        def _send(self, content: bytes) -> None:
            if server.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                declared = server.declared.pop(0) if server.declared else None
                length = len(content) if declared is None else declared
                self.send_header("Content-Length", str(length))
            for name, value in (("ETag", server.tag), ("Last-Modified", server.modified)):
                if value:
                    self.send_header(name, value)
            self.end_headers()
            limit = server.break_after.pop(0) if server.break_after else None
            sent = content[:limit]
            pause_s = server.pauses_s.pop(0) if server.pauses_s else 0.0
            try:
                for begin in range(0, len(sent), 1 << 14):
                    part = sent[begin : begin + (1 << 14)]
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n" if server.chunked else part)
                    self.wfile.flush()
                    server.sent += len(part)
                    time.sleep(server.stall_s + (pause_s if begin == len(sent) // 2 >> 14 << 14 else 0.0))
                if server.chunked and limit is None:
                    self.wfile.write(b"0\r\n\r\n")
            except OSError:  # who asked has gone
                pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    server.address = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
