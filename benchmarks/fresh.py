"""Measurements that need a process of their own."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from entreg.run.hardware import compute_deterministically, keep_freed_memory


def prepare() -> None:
    """What a process does before it measures."""
    # the random weights of generated studies are announced as a warning
    logging.basicConfig(level=logging.ERROR)
    compute_deterministically()
    keep_freed_memory()


def in_a_fresh_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """work(*arguments) where nothing was computed before.

    No memory is left over, and libraries' threads are made anew.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), prepare) as pool:
        return pool.submit(work, *arguments).result()
