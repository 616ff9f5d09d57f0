"""What is missing of a published set, and how it comes to lie below the set's root; see tests/tasks for the task."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from entreg.config import Data, Download
from entreg.data import downloads
from entreg.data.sources.folder import Settings
from entreg.errors import DataError
from tests.io.server import serving


@pytest.fixture
def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("stimuli/a.png", b"a photo")
        file.writestr("fixations.csv", "image,x,y\n")
    return content.getvalue()


@pytest.fixture
def settings(archive, monkeypatch, tmp_path):
    """A set whose two parts come with one archive."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving({"/toy.zip": archive}) as server:
        known = f"sha256:{hashlib.sha256(archive).hexdigest()}"
        parts = {name: Download(f"{server.address}/toy.zip", name, known) for name in ("stimuli", "fixations.csv")}
        yield Settings(name="toy", root=str(tmp_path / "toy"), downloads=parts, licence="CC0")


def test_what_is_missing_is_said_and_got(settings, tmp_path, caplog):
    with caplog.at_level("INFO"):
        missing = downloads.missing(settings)
    assert [one.holds for one in missing] == ["stimuli", "fixations.csv"]
    assert "licence: CC0; to be downloaded:" in caplog.text and caplog.text.count("toy.zip") == 1
    downloads.get(missing[0], tmp_path / "toy")
    assert [one.holds for one in downloads.missing(settings)] == ["fixations.csv"]
    downloads.get(missing[1], tmp_path / "toy")
    assert downloads.missing(settings) == []
    assert (tmp_path / "toy/stimuli/a.png").read_bytes() == b"a photo"


def test_what_nobody_can_download_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"^toy cannot be downloaded: its address is unknown\n"):
        downloads.missing(Settings(name="toy", root=str(tmp_path)))
    where = Settings(name="toy", root=str(tmp_path), published_at="https://example.org")
    with pytest.raises(DataError, match=r"^toy cannot be downloaded: it is published at https://example.org\n"):
        downloads.missing(where)


def test_a_set_that_needs_nothing_has_nothing_missing():
    assert downloads.missing(Data(name="drawn")) == []
