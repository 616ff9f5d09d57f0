"""Threads that each compute alone, so that the bits of a result do not depend on their number."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Event
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Do the work for each item in one of several threads, one item per thread at a time, and yield results in order.

    Threads that share a small product mostly wait for each other, and its bits would depend on their number. Where the
    work fails for one item, the items that have not begun are dropped.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, items)
        return

    running: list[Event] = []
    left = Event()

    def alone(item: Item) -> Result:
        ended = Event()
        running.append(ended)  # before the check below, so that either the caller waits for this or this sees `left`
        try:
            if left.is_set():
                raise CancelledError
            torch.set_num_threads(1)  # for this thread; threads that begin meanwhile inherit it, so it is reset below
            return work(item)
        finally:
            ended.set()

    begun: deque[Future[Result]] = deque()
    try:
        pool = _pool(threads)
        begun.extend(pool.submit(alone, item) for item in items)
        while begun:
            yield begun.popleft().result()
    finally:
        left.set()
        for future in begun:
            future.cancel()
        for ended in running:  # also those whose futures an interrupt kept out of `begun`
            ended.wait()
        torch.set_num_threads(threads)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute in this thread only, because the bits of a sum that threads share depend on their number."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return a pool of threads that lasts, because starting new ones in each step would take a seventh of its time."""
    return ThreadPoolExecutor(threads, "entreg")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has the pool but none of its threads
