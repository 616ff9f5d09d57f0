"""Measurements that need a process of their own."""
from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from entreg.run.hardware import compute_deterministically


def in_a_fresh_process(work: Callable, *arguments: Any) -> Any:
    """work(*arguments) where nothing was computed before: no memory is left over, and libraries' threads are made anew."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), compute_deterministically) as pool:
        return pool.submit(work, *arguments).result()
