"""A server of one file, and its download."""

from __future__ import annotations

import pytest

from entreg.io import resumed_download
from entreg.io.download import download
from entreg.io.published_file import Published
from tests.io.server import CONTENT, NAME, SHA256, serving


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(resumed_download, "WAIT_S", 0.0)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving({NAME: CONTENT}) as running:
        yield running


@pytest.fixture
def get(server, tmp_path):
    """get(known_hash, size_bytes): downloads to tmp_path/set.zip; the path."""

    def run(known_hash=SHA256, size_bytes=None):
        download(Published(server.address + NAME, known_hash, size_bytes), tmp_path / "set.zip")
        return tmp_path / "set.zip"

    return run
