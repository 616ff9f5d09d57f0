"""Servers that break off, lie, change their files or say no: what came is gone on from, and never mixed."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from entreg import progress
from entreg.errors import DataError
from entreg.io import resumed_download
from entreg.io.resumed_download import TRIES
from tests.conftest import ROOT
from tests.io.server import BREAK, CONTENT, NAME, OTHER, SHA256, assert_whole_and_alone


def test_a_broken_connection_goes_on_with_what_is_missing(server, get):
    server.break_after = [BREAK, 10 * resumed_download.PART_BYTES]
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, None), (NAME, "bytes=327680-"), (NAME, "bytes=491520-")]
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize("tag, modified", [(None, None), (None, "Mon, 01 Jan 2024 00:00:00 GMT"), ('W/"1"', None)])
def test_it_goes_on_without_a_strong_etag_too(server, get, tag, modified):
    server.tag, server.modified, server.break_after = tag, modified, [BREAK]
    assert_whole_and_alone(get())
    assert server.asked[1] == (NAME, "bytes=327680-")


def test_more_breaks_than_tries_do_not_matter_as_long_as_each_brings_something(server, get):
    server.break_after = [3 * resumed_download.PART_BYTES] * 20
    assert_whole_and_alone(get())
    assert len(server.asked) == 21 and server.sent == len(CONTENT)


def test_a_killed_process_is_gone_on_from(server, get, tmp_path):
    server.stall_s = 0.05  # three seconds in all
    command = (
        "from entreg.io.download import *; "
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


def test_a_server_that_ignores_ranges_is_asked_for_everything(server, get):
    server.ranges, server.break_after = False, [BREAK]
    assert_whole_and_alone(get())
    assert server.sent == BREAK + len(CONTENT)


def test_a_server_that_ignores_ranges_and_never_gets_through_is_given_up(server, get):
    server.ranges, server.break_after = False, [BREAK] * 100
    with pytest.raises(
        DataError, match=r"set.zip cannot be downloaded: .*\n.*continues after the 0.3 MB that are there"
    ):
        get()
    assert len(server.asked) == TRIES + 1  # the first one brought something


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
    assert len(server.asked) == TRIES + 1


def test_a_size_that_is_not_the_published_one_is_refused_before_it_comes(server, get):
    with pytest.raises(DataError, match="offers 1,000,000 bytes instead of 574,673,361"):
        get(size_bytes=574_673_361)
    assert len(server.asked) == 1


def test_a_size_that_is_not_told_does_no_harm(server, get):
    server.chunked, server.break_after = True, [BREAK]
    assert_whole_and_alone(get())


def test_a_stalling_server_is_asked_again(server, get, monkeypatch):
    monkeypatch.setattr(resumed_download, "TIMEOUT_S", (1, 0.3))
    server.pauses_s = [1.0]
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, None), (NAME, "bytes=507904-")]


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


def test_a_disk_that_is_too_small_is_named_before_it_is_full(server, get, monkeypatch):
    monkeypatch.setattr(resumed_download.shutil, "disk_usage", lambda _: SimpleNamespace(free=9))
    with pytest.raises(DataError, match="set.zip needs 0.00 GB"):
        get()
    assert len(server.asked) == 1


def test_without_a_terminal_the_log_says_how_far_it_is(server, get, monkeypatch, caplog):
    monkeypatch.setattr(progress, "TOLD_EVERY_S", 0.0)
    server.break_after = [BREAK]
    with caplog.at_level(logging.INFO):
        get()
    lines = [record.getMessage() for record in caplog.records if record.name == progress.__name__]
    assert lines[0] == "set.zip: 1.0 MB" and "set.zip: 1.0 MB, continuing at 0.3 MB" in lines
    told = [line.partition(" MB, ")[0] for line in lines]
    assert "set.zip: 0.3 of 1.0" in told and told[-1] == "set.zip: 1.0 of 1.0"


def test_only_the_first_rank_says_so(server, get, monkeypatch, caplog):
    monkeypatch.setenv("RANK", "1")
    with caplog.at_level(logging.INFO):
        get()
    assert not caplog.records


def test_what_is_left_of_another_address_is_not_gone_on_from(server, get, tmp_path):
    unfinished = tmp_path / ".set.zip.unfinished"
    unfinished.mkdir()
    (unfinished / "part").write_bytes(OTHER[:1000])
    (unfinished / "part.json").write_text(json.dumps({"address": "http://elsewhere/set.zip", "total": len(CONTENT)}))
    assert_whole_and_alone(get())
    assert server.asked == [(NAME, None)]
