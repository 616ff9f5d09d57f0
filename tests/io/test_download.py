"""A download is the published file, once and for all processes, or one line that says what is in the way."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from entreg.errors import DataError
from entreg.io import digests
from entreg.io.download import download, record, recorded
from entreg.io.published_file import Published
from entreg.io.resumed_download import TRIES
from tests.conftest import ROOT
from tests.io.server import BREAK, CONTENT, MD5, NAME, OTHER, SHA256, assert_whole_and_alone


@pytest.mark.parametrize("known_hash", [SHA256, MD5, None])
def test_a_file_comes_whole_and_nothing_is_left_beside_it(server, get, known_hash):
    assert_whole_and_alone(get(known_hash, len(CONTENT)))
    assert server.asked == [(NAME, None)] and server.sent == len(CONTENT)


def test_what_is_there_asks_nothing_of_the_network(server, get):
    get()
    server.asked.clear()
    get()
    assert server.asked == []


@pytest.mark.parametrize("moment", ["before the hash", "after the hash"])
def test_a_kill_at_the_end_loses_nothing(server, get, tmp_path, monkeypatch, moment):
    module, name = {"before the hash": (digests, "digest_of"), "after the hash": (os, "replace")}[moment]
    usual = getattr(module, name)

    def killed(path, *more):
        if path.name == "part":
            raise KeyboardInterrupt
        return usual(path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, killed)
        with pytest.raises(KeyboardInterrupt):
            get()
    server.asked.clear()
    assert_whole_and_alone(get())
    assert server.asked == []


def test_a_wrong_file_is_refused_and_asked_for_once(server, get, tmp_path):
    server.files[NAME] = OTHER
    with pytest.raises(DataError, match=rf"set.zip is not the published file .*its hash is not {SHA256}"):
        get()
    assert len(server.asked) == 1 and not (tmp_path / "set.zip").exists()


def test_a_wrong_file_that_is_there_is_named_and_left_alone(server, get, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"(?s)set.zip: is not the published file.*remove it"):
        get()
    assert (tmp_path / "set.zip").read_bytes() == b"mine" and server.asked == []


def test_a_server_that_stays_in_trouble_is_given_up(server, get):
    server.statuses = [500] * 100
    with pytest.raises(DataError, match=r"the server answers 500 .*\n  try again later .*\n  do it by hand .*set.zip"):
        get()
    assert len(server.asked) == TRIES


@pytest.mark.parametrize(
    "address, said",
    [
        ("http://127.0.0.1:1/set.zip", "Connection refused"),
        ("ftp://127.0.0.1/set.zip", "cannot be downloaded"),
    ],
)
def test_an_address_without_a_server_is_named(tmp_path, address, said):
    with pytest.raises(DataError, match=said) as caught:
        download(Published(address), tmp_path / "set.zip")
    assert address in str(caught.value) and "object at 0x" not in str(caught.value)


def test_a_recorded_hash_is_held_against_the_next_download(server, get, tmp_path):
    path = get(None)
    record(path)
    assert (tmp_path / "set.zip.sha256").read_text() == f"{SHA256.removeprefix('sha256:')}  set.zip\n"
    assert recorded(path) == SHA256
    path.unlink()
    server.files[NAME] = OTHER
    with pytest.raises(DataError, match=r"set.zip.sha256; remove that record to accept the new file"):
        get(None)
    assert not path.exists()
    (tmp_path / "set.zip.sha256").unlink()
    assert get(None).read_bytes() == OTHER


def test_a_record_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "set.zip.sha256").write_text("what")
    with pytest.raises(DataError, match="set.zip.sha256 does not begin with a SHA-256"):
        recorded(tmp_path / "set.zip")


def test_a_disk_that_is_full_is_named_and_what_came_is_kept(server, get, tmp_path, monkeypatch):
    server.break_after, server.statuses = [BREAK], [200, 404]
    with pytest.raises(DataError, match="404"):
        get()

    def full(path, mode="r", *others, real=Path.open, **more):
        if mode == "ab":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, mode, *others, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(DataError, match="set.zip: cannot be written: No space left on device"):
            get()
    server.asked.clear()
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, "bytes=327680-")]


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="file"):
        download(Published(server.address + NAME, SHA256), tmp_path / "file/set.zip")
    assert server.asked == []


def test_several_processes_download_once(server, tmp_path):
    command = (
        "from entreg.io.download import *; "
        f"download(Published({server.address + NAME!r}, {SHA256!r}), Path({str(tmp_path / 'set.zip')!r}))"
    )
    server.stall_s = 0.01
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen([sys.executable, "-c", command], env=environment) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(server.asked) == 1
    assert_whole_and_alone(tmp_path / "set.zip")
