"""Downloads from a server that breaks off, lies, changes its files, or says no: the file is the published one or not
there."""
from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from entreg.errors import DataError
from entreg.fetch import download as module
from entreg.fetch.download import Published, download, record, recorded
from tests.conftest import ROOT
from tests.fetch.server import serving

CONTENT = np.random.Generator(np.random.PCG64(0)).bytes(1_000_000)
OTHER = CONTENT[::-1]
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
NAME = "/set.zip"
BREAK = 20 * module.PART_BYTES  # 327,680


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "WAIT_S", 0.0)
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def server():
    with serving({NAME: CONTENT}) as running:
        yield running


@pytest.fixture
def get(server, tmp_path):
    """get(known_hash, size_bytes): downloads to tmp_path/set.zip; the path."""

    def run(known_hash=SHA256, size_bytes=None):
        download(Published(server.address + NAME, known_hash, size_bytes), tmp_path / "set.zip")
        return tmp_path / "set.zip"

    return run


def assert_whole_and_alone(path):
    assert path.read_bytes() == CONTENT
    assert [left.name for left in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("known_hash", [SHA256, MD5, None])
def test_a_file_comes_whole_and_nothing_is_left_beside_it(server, get, known_hash):
    assert_whole_and_alone(get(known_hash, len(CONTENT)))
    assert server.asked == [(NAME, None)] and server.sent == len(CONTENT)


def test_what_is_there_asks_nothing_of_the_network(server, get):
    get()
    server.asked.clear()
    get()
    assert server.asked == []


def test_a_broken_connection_goes_on_with_what_is_missing(server, get):
    server.break_after = [BREAK, 10 * module.PART_BYTES]
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, None), (NAME, "bytes=327680-"), (NAME, "bytes=491520-")]
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize("tag, modified", [(None, None), (None, "Mon, 01 Jan 2024 00:00:00 GMT"), ('W/"1"', None)])
def test_it_goes_on_without_a_strong_etag_too(server, get, tag, modified):
    server.tag, server.modified, server.break_after = tag, modified, [BREAK]
    assert_whole_and_alone(get())
    assert server.asked[1] == (NAME, "bytes=327680-")


def test_more_breaks_than_tries_do_not_matter_as_long_as_each_brings_something(server, get):
    server.break_after = [3 * module.PART_BYTES] * 20
    assert_whole_and_alone(get())
    assert len(server.asked) == 21 and server.sent == len(CONTENT)


def test_a_killed_process_is_gone_on_from(server, get, tmp_path):
    server.stall_s = 0.05  # three seconds in all
    command = (
        "from entreg.fetch.download import *; from pathlib import Path; "
        f"download(Published({server.address + NAME!r}, {SHA256!r}), Path({str(tmp_path / 'set.zip')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", command], env=os.environ | {"PYTHONPATH": str(ROOT)})
    part, until = tmp_path / ".set.zip.unfinished/part", time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size > 250_000):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "set.zip").exists()
    have = part.stat().st_size
    server.stall_s = 0.0
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, None), (NAME, f"bytes={have}-")]


@pytest.mark.parametrize("moment", ["before the hash", "after the hash"])
def test_a_kill_at_the_end_loses_nothing(server, get, tmp_path, monkeypatch, moment):
    where = {"before the hash": "pooch.core.hash_matches", "after the hash": "pooch.core.shutil.move"}[moment]
    with monkeypatch.context() as patch:
        def killed(*_, **__):
            raise KeyboardInterrupt
        patch.setattr(where, killed)
        with pytest.raises(KeyboardInterrupt):
            get()
    server.asked.clear()
    assert_whole_and_alone(get())
    assert server.asked == []


def test_a_server_that_ignores_ranges_is_asked_for_everything(server, get):
    server.ranges, server.break_after = False, [BREAK]
    assert_whole_and_alone(get())
    assert server.sent == BREAK + len(CONTENT)


def test_a_server_that_ignores_ranges_and_never_gets_through_is_given_up(server, get):
    server.ranges, server.break_after = False, [BREAK] * 100
    with pytest.raises(DataError, match=r"set.zip cannot be downloaded: .*\n.*goes on with the 0.3 MB that are there"):
        get()
    assert len(server.asked) == module.TRIES + 1  # the first one brought something


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_not_mixed(server, get, tmp_path, heeds_if_range):
    server.break_after, server.files[NAME] = [BREAK], OTHER
    server.statuses = [200, 404]
    with pytest.raises(DataError, match="404"):
        get()
    assert (tmp_path / ".set.zip.unfinished/part").stat().st_size == BREAK
    server.files[NAME], server.tag, server.heeds_if_range = CONTENT, '"2"', heeds_if_range
    server.asked.clear()
    assert_whole_and_alone(get(None))
    again = [] if heeds_if_range else [(NAME, None)]
    assert server.asked == [(NAME, "bytes=327680-"), *again]


def test_a_file_that_changed_without_a_sign_is_fetched_once_more_as_a_whole(server, get):
    server.tag, server.break_after, server.statuses = None, [BREAK], [200, 404]
    server.files[NAME] = OTHER
    with pytest.raises(DataError, match="404"):
        get()
    server.files[NAME] = CONTENT
    server.asked.clear()
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, "bytes=327680-"), (NAME, None)]


def test_a_file_that_became_shorter_is_started_again(server, get, tmp_path):
    server.tag, server.files[NAME], server.break_after, server.statuses = None, CONTENT * 2, [1_500_000], [200, 404]
    with pytest.raises(DataError):
        get()
    server.files[NAME] = CONTENT
    assert_whole_and_alone(get())


def test_a_server_that_promises_more_than_it_sends_is_noticed(server, get, tmp_path):
    server.declared, server.ranges = [len(CONTENT) + 1000] * 100, False
    with pytest.raises(DataError, match="set.zip cannot be downloaded"):
        get(None)
    assert not (tmp_path / "set.zip").exists()


def test_a_server_that_promises_less_than_the_file_is_noticed_by_the_hash(server, get, tmp_path):
    server.declared = [500_000]
    with pytest.raises(DataError, match="is not the published file"):
        get()
    assert list(tmp_path.iterdir()) == [tmp_path / ".set.zip.unfinished"]
    assert list((tmp_path / ".set.zip.unfinished").iterdir()) == []


def test_a_server_that_has_nothing_more_to_send_is_given_up(server, get):
    server.break_after, server.declared = [BREAK], [None] + [0] * 100
    with pytest.raises(DataError, match="the server broke off after 327,680 of 1,000,000 bytes"):
        get()
    assert len(server.asked) == module.TRIES + 1


def test_a_size_that_is_not_the_published_one_is_refused_before_it_comes(server, get):
    with pytest.raises(DataError, match="offers 1,000,000 bytes instead of 574,673,361"):
        get(size_bytes=574_673_361)
    assert len(server.asked) == 1


def test_a_size_that_is_not_told_does_no_harm(server, get):
    server.chunked, server.break_after = True, [BREAK]
    assert_whole_and_alone(get())


def test_a_stalling_server_is_asked_again(server, get, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", (1, 0.3))
    server.pauses_s = [1.0]
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, None), (NAME, "bytes=507904-")]


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


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_server_that_says_no_is_not_asked_again(server, get, status):
    server.statuses = [status] * 9
    with pytest.raises(DataError, match=f"set.zip cannot be downloaded: the server answers {status}"):
        get()
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(server, get, status):
    server.statuses = [status, status]
    assert_whole_and_alone(get())
    assert len(server.asked) == 3


def test_a_server_that_stays_in_trouble_is_given_up(server, get):
    server.statuses = [500] * 100
    with pytest.raises(DataError, match=r"the server answers 500 .*\n  try again later .*\n  do it by hand .*set.zip"):
        get()
    assert len(server.asked) == module.TRIES


@pytest.mark.parametrize("address, said", [
    ("http://127.0.0.1:1/set.zip", "Connection refused"), ("ftp://127.0.0.1/set.zip", "cannot be downloaded"),
])
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
    with pytest.raises(DataError, match=r"set.zip.sha256; remove that to take the new file"):
        get(None)
    assert not path.exists()
    (tmp_path / "set.zip.sha256").unlink()
    assert get(None).read_bytes() == OTHER


def test_a_record_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "set.zip.sha256").write_text("what")
    with pytest.raises(DataError, match="set.zip.sha256 does not begin with a SHA-256"):
        recorded(tmp_path / "set.zip")


def test_a_disk_that_is_too_small_is_named_before_it_is_full(server, get, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=9))
    with pytest.raises(DataError, match="set.zip needs 0.00 GB"):
        get()
    assert len(server.asked) == 1


def test_a_disk_that_is_full_is_named_and_what_came_is_kept(server, get, tmp_path, monkeypatch):
    server.break_after, server.statuses = [BREAK], [200, 404]
    with pytest.raises(DataError, match="404"):
        get()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(module, "open", full, raising=False)
        with pytest.raises(DataError, match="set.zip: cannot be written: No space left on device"):
            get()
    server.asked.clear()
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, "bytes=327680-")]


def test_without_a_terminal_the_log_says_how_far_it_is(server, get, monkeypatch, caplog):
    monkeypatch.setattr(module, "TOLD_EVERY_S", 0.0)
    server.break_after = [BREAK]
    with caplog.at_level(logging.INFO):
        get()
    lines = [record.getMessage() for record in caplog.records if record.name == module.__name__]
    assert lines[0] == "set.zip: 1.0 MB" and "set.zip: 1.0 MB, going on at 0.3" in lines
    assert "set.zip: 0.3 MB of 1.0 MB" in lines and lines[-1] == "set.zip: 1.0 MB of 1.0 MB"


def test_only_the_first_rank_says_so(server, get, monkeypatch, caplog):
    monkeypatch.setenv("RANK", "1")
    with caplog.at_level(logging.INFO):
        get()
    assert not caplog.records


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="file"):
        download(Published(server.address + NAME, SHA256), tmp_path / "file/set.zip")
    assert server.asked == []


def test_what_is_left_of_another_address_is_not_gone_on_from(server, get, tmp_path):
    unfinished = tmp_path / ".set.zip.unfinished"
    unfinished.mkdir()
    (unfinished / "part").write_bytes(OTHER[:1000])
    (unfinished / "part.json").write_text(json.dumps({"address": "http://elsewhere/set.zip", "total": len(CONTENT)}))
    (unfinished / "tmpkilled").write_bytes(b"pooch's")
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, None)]


def test_several_processes_download_once(server, tmp_path):
    command = (
        "from entreg.fetch.download import *; from pathlib import Path; "
        f"download(Published({server.address + NAME!r}, {SHA256!r}), Path({str(tmp_path / 'set.zip')!r}))"
    )
    server.stall_s = 0.01
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen([sys.executable, "-c", command], env=environment) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(server.asked) == 1
    assert_whole_and_alone(tmp_path / "set.zip")


def test_what_is_published_of_a_file_is_said():
    assert Published("http://a/b/c.zip?download=1").name == "c.zip"
    assert str(Published("http://a/c.zip", SHA256, 574_673_361)) == f"http://a/c.zip (575 MB, {SHA256})"
    assert str(Published("http://a/c.zip")) == "http://a/c.zip (size not known beforehand, no hash published)"
