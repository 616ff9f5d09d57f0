"""Signals set a flag, handlers that were there before come back, and a process does not outlive its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from entreg.distributed.signals import ASKING, StopRequest
from tests.conftest import ROOT


@pytest.fixture
def heard():
    """The signals that came to the handlers which stood before a StopRequest."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in ASKING}
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ASKING, ids=lambda number: number.name)
def test_a_signal_sets_a_flag_and_the_handlers_come_back(heard, number):
    stop = StopRequest()
    assert not stop.received
    os.kill(os.getpid(), number)
    assert stop.received and stop.number == number and heard == []
    before = stop.restore()
    os.kill(os.getpid(), number)
    assert heard == [number]
    assert before is not None
    before(signal.SIGUSR2, None)
    assert heard == [number, signal.SIGUSR2]


def test_of_a_handler_that_is_no_function_none_is_given_back():
    before = signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    try:
        assert StopRequest().restore() is None
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_second_interrupt_ends_at_once(heard):
    stop = StopRequest()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    stop.restore()


def test_what_was_held_back_while_libraries_were_loaded_is_heard_then(heard):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)  # other threads of pytest hold nothing back
    stop = StopRequest()
    assert stop.number == signal.SIGUSR2 and heard == []
    stop.restore()


def started(code: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def test_a_rank_that_was_told_to_end_and_waits_for_others_ends_after_a_grace():
    with started(
        "import time; from entreg.distributed import signals; signals.GRACE_S = 0.3\n"
        "signals.StopRequest(ends_after_grace=True); print('ready', flush=True); time.sleep(60)"
    ) as process:
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM


@pytest.mark.parametrize("is_done, code", [(True, 0), pytest.param(False, -signal.SIGUSR2, marks=pytest.mark.slow)])
def test_a_signal_that_comes_while_python_ends_does_not_kill_a_rank_that_is_done(is_done, code):
    """As at a job's time limit, here again and again until the process has gone; without it the process is killed."""
    with started(
        "import os, subprocess; from entreg.distributed.signals import StopRequest\n"
        "stop = StopRequest()\n"
        "subprocess.Popen(['sh', '-c', f'while kill -USR2 {os.getpid()} 2>/dev/null; do :; done'])\n"
        "print('ready', flush=True)\n" + "stop.ignore_from_now_on()" * is_done
    ) as process:
        assert process.wait(60) == code


def test_a_rank_ends_after_its_parent_was_killed():
    with started(
        "import os, subprocess, sys, time\n"
        "code = 'import time; from entreg.distributed.signals import end_with_parent; end_with_parent();'\n"
        "code += 'print(\"up\", flush=True); time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print('ready', flush=True); print(child.pid, flush=True); time.sleep(60)"
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and _lives(child):
            time.sleep(0.1)
        assert not _lives(child)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # a process that nobody waits for is a zombie for a while
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
