"""Measurements in new processes."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from entreg.distributed.hardware import compute_deterministically, keep_freed_memory


def prepare() -> None:
    """Prepare this process for measurements."""
    # generated studies warn that their weights are random
    logging.basicConfig(level=logging.ERROR)
    compute_deterministically()
    keep_freed_memory()


def in_a_fresh_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return work(*arguments) from a new process, without earlier work's memory and with new threads."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), prepare) as pool:
        return pool.submit(work, *arguments).result()
