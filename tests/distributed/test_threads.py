"""Threads that work alone."""

from __future__ import annotations

import os
import signal
import time

import pytest
import torch

from entreg.distributed.threads import in_threads


@pytest.mark.parametrize("items", [1, 3])
def test_an_item_is_computed_by_one_thread_even_where_it_is_the_only_one(items, one_thread):
    """The last image of a store that was stopped is computed alone: its bits must not tell."""
    torch.set_num_threads(2)
    assert [*in_threads(lambda _: torch.get_num_threads(), range(items))] == [1] * items
    assert torch.get_num_threads() == 2


def test_what_is_running_when_a_wait_is_interrupted_has_ended_when_it_is_left(one_thread):
    """Else it would write into files that are closed, or are others by then."""
    torch.set_num_threads(2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ended = []

    def work(item: int) -> None:
        if item == 0:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        ended.append(item)

    try:
        with pytest.raises(KeyboardInterrupt):
            list(in_threads(work, range(2)))
    finally:
        signal.signal(signal.SIGINT, before)
    assert 0 in ended and torch.get_num_threads() == 2


def test_the_rest_is_not_begun_where_an_item_fails(one_thread):
    torch.set_num_threads(2)
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.01)
        raise ValueError(item)

    with pytest.raises(ValueError, match="^0$"):
        list(in_threads(work, range(100)))
    assert len(begun) < 10


def test_a_fork_has_threads_of_its_own(one_thread):
    torch.set_num_threads(2)
    list(in_threads(str, range(4)))
    child = os.fork()
    if not child:
        try:
            signal.alarm(20)
            os._exit([*in_threads(str, range(4))] != ["0", "1", "2", "3"])
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
