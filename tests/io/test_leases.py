"""Who works at a place: one of several that try, the next one where the owner has ended, nobody beside a living one."""

from __future__ import annotations

import dataclasses
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from entreg.io import leases
from entreg.io.leases import Lease, LeaseHeld, Owner, make_once
from tests.conftest import ROOT


@pytest.fixture
def place(tmp_path):
    return tmp_path / "owner.json"


def owned(place: Path, **changed: object) -> Owner:
    """Writes the owner file of a process like this one, with some things changed."""
    owner = dataclasses.replace(Owner.this_process(), **changed)
    place.write_text(json.dumps(dataclasses.asdict(owner)))
    return owner


def test_a_place_is_claimed_once_and_free_again_after_its_release(place):
    with Lease(place):
        owner = json.loads(place.read_text())
        assert owner["process"] == os.getpid() and owner["host"] == os.uname().nodename
        with pytest.raises(
            LeaseHeld, match=rf"being worked on by process {os.getpid()} on {os.uname().nodename}, since 2"
        ):
            Lease(place)
    assert list(place.parent.iterdir()) == []
    Lease(place).release()


def test_where_links_do_not_exist_a_place_is_claimed_all_the_same(place, monkeypatch):
    def none(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    with Lease(place), pytest.raises(LeaseHeld):
        Lease(place)


def test_of_a_process_that_has_ended_it_is_taken_over(place, caplog):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    owned(place, process=ended.pid)
    with caplog.at_level(logging.INFO), Lease(place):
        assert f"taking over from process {ended.pid} on" in caplog.text


def test_of_another_process_that_got_the_number_it_is_taken_over(place):
    owned(place, born="123")
    Lease(place).release()


@pytest.mark.parametrize(
    "changed, free",
    [
        ({"host": "another", "job": None}, False),
        ({"host": "another", "job": "7"}, False),
        ({"host": "another"}, True),
        ({"host": "another", "restarts": 2}, False),  # several tasks of one job, started at once
        ({"space": "another boot"}, True),
        ({"space": "another boot", "job": None}, False),
        ({"restarts": 1}, False),
    ],
    ids=str,
)
def test_of_another_node_it_is_taken_over_where_it_was_an_earlier_start_of_this_job(place, monkeypatch, changed, free):
    """On this host another space is a container, or a boot before this one: only the heartbeat tells."""
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    owned(place, **({"restarts": 1} | changed))
    if free:
        Lease(place).release()
    else:
        with pytest.raises(LeaseHeld):
            Lease(place)


@pytest.mark.parametrize("age_s, free", [(290, False), (310, True)])
def test_of_an_owner_elsewhere_it_is_taken_over_when_its_heartbeat_has_stopped(place, age_s, free):
    owned(place, host="another")
    os.utime(place, (time.time() - age_s,) * 2)
    if free:
        Lease(place).release()
    else:
        with pytest.raises(LeaseHeld, match="on another"):
            Lease(place)


def test_an_owner_that_lives_here_keeps_its_lease_however_old_the_file_looks(place):
    """A clock that was put right, or a file that was copied back, says nothing of a process that can be asked."""
    owner = owned(place)
    assert owner.is_here and not owner.has_ended
    os.utime(place, (0, 0))
    with pytest.raises(LeaseHeld, match=f"process {os.getpid()} on"):
        Lease(place)
    assert json.loads(place.read_text())["token"] == owner.token


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "another"}'])
def test_an_owner_file_that_cannot_be_read_is_left_alone_while_it_is_young(place, content):
    """Another process may just be writing it."""
    place.write_text(content)
    with pytest.raises(LeaseHeld, match="another process"):
        Lease(place)
    os.utime(place, (0, 0))
    Lease(place).release()


def test_the_heart_beats(place, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_S", 0.05)
    with Lease(place):
        os.utime(place, (0, 0))
        deadline = time.monotonic() + 20
        while place.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert time.time() - place.stat().st_mtime < 20


def test_who_was_taken_over_while_it_slept_ends(place):
    """A process that was suspended for minutes must not write beside the one that has taken its place."""
    code = (
        "import sys, time; from pathlib import Path; from entreg.io import leases\n"
        "leases.BEAT_S = 0.05\nleases.Lease(Path(sys.argv[1])); print('acquired', flush=True); time.sleep(60)"
    )
    slept = subprocess.Popen([sys.executable, "-c", code, str(place)], cwd=ROOT, stdout=subprocess.PIPE)
    assert slept.stdout is not None and slept.stdout.readline() == b"acquired\n"
    owned(place)
    assert slept.wait(30) == 1
    slept.stdout.close()


def test_a_release_leaves_another_ones_claim(place):
    lease = Lease(place)
    another = owned(place)
    lease.release()
    assert json.loads(place.read_text())["token"] == another.token


def _make(folder: Path, made: multiprocessing.Queue) -> None:
    target = folder / "made"

    def make() -> None:
        time.sleep(0.3)
        made.put(os.getpid())
        target.write_text("whole")

    make_once(target, make, pause=lambda: time.sleep(0.05))
    assert target.read_text() == "whole"


def test_of_several_processes_one_makes_and_the_others_wait(tmp_path):
    context = multiprocessing.get_context("fork")
    made = context.Queue()
    processes = [context.Process(target=_make, args=(tmp_path, made)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 6
    assert isinstance(made.get(timeout=10), int) and made.empty()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_what_killed_processes_left_goes(tmp_path):
    """Of what is made at once, since nobody else makes it; of claims when it is old: others may just be trying."""
    made, names = tmp_path / "made", (".made.0123abcd.tmp", ".made.owner.0123abcd.tmp", ".made.owner.4567cdef.tmp")
    kept = [tmp_path / name for name in (".made.owner.4567cdef.tmp", ".other.0123abcd.tmp", "made.tmp")]
    for path in {*(tmp_path / name for name in names), *kept}:
        path.touch()
    os.utime(tmp_path / names[1], (time.time() - leases.STALE_S - 60,) * 2)
    make_once(made, made.touch)
    assert sorted(tmp_path.iterdir()) == sorted([made, *kept])


def test_what_was_left_beside_what_is_made_goes_unless_its_process_lives(tmp_path):
    made, lease, beside = tmp_path / "made", tmp_path / "made.owner", tmp_path / "beside"
    for owner, left in (({}, True), ({"born": "123"}, False)):
        for path in (made, beside):
            path.mkdir(exist_ok=True)
        owned(lease, **owner)
        leases.remove_leftovers(made, [beside])
        assert (lease.exists(), beside.exists()) == (left, left)
    owned(lease, born="123")
    made.rmdir()  # it is not made yet: the next one that makes it takes the lease over
    leases.remove_leftovers(made, [beside])
    assert lease.exists()


def test_a_claim_that_cannot_be_removed_is_said_and_left(place, monkeypatch, caplog):
    """What it was for is done: a run must not fail of it in the end."""

    def fail(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    lease = Lease(place)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        lease.release()
    assert f"{place}: cannot be removed: Operation not permitted" in caplog.text and place.is_file()


def test_what_is_there_is_not_made_and_who_waits_may_give_up(tmp_path):
    made = tmp_path / "made"

    def give_up() -> None:
        raise InterruptedError

    with Lease(tmp_path / "made.owner"), pytest.raises(InterruptedError):
        make_once(made, made.touch, give_up)
    assert not made.exists()
    made.touch()
    make_once(made, give_up)
