"""How far long work has come: a bar on a terminal; elsewhere, as in a job's log, a line now and then."""

from __future__ import annotations

import logging
import os
import sys
import time
from types import TracebackType

from tqdm import tqdm

log = logging.getLogger(__name__)

TOLD_EVERY_S = 60.0
MB = 1e6


class Progress:
    """Of work that consists of like parts. `with Progress(...) as progress:`, and `progress.step()` after each.

    The first rank alone says something: on a terminal by a bar, else in the log.

    what: the work's name; count: of its parts, None where that is not known; unit: of one part, B for bytes
    done: parts that were done before
    """

    def __init__(self, what: str, count: int | None, unit: str, done: int = 0) -> None:
        first, terminal = os.environ.get("RANK", "0") == "0", sys.stderr.isatty()
        self._bar = tqdm(
            total=count,
            initial=done,
            desc=what,
            unit=unit,
            unit_scale=unit == "B",
            leave=False,
            disable=not (first and terminal),
        )
        self._what, self._count, self._unit, self._logs = what, count, unit, first and not terminal
        self._done = self._before = done
        self._started = self._told = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def step(self, parts: int = 1) -> None:
        """Count parts that are done."""
        self._done += parts
        self._bar.update(parts)
        now = time.monotonic()
        if self._logs and now - self._told >= TOLD_EVERY_S:
            self._told = now
            log.info("%s", self._line((self._done - self._before) / (now - self._started)))

    def say(self, text: str) -> None:
        """Log something of the work where there is no bar that shows it."""
        if self._logs:
            log.info("%s: %s", self._what, text)

    def _line(self, rate: float) -> str:
        if self._unit == "B":
            unit, done, count = "MB", f"{self._done / MB:.1f}", f"{(self._count or 0) / MB:.1f}"
            speed = rate / MB
        else:
            unit, done, count, speed = f"{self._unit}s", f"{self._done}", f"{self._count}", rate
        if self._count is None:
            return f"{self._what}: {done} {unit}, {speed:.2f} {unit}/s"
        left_min = (self._count - self._done) / rate / 60
        return f"{self._what}: {done} of {count} {unit}, {speed:.2f} {unit}/s, {left_min:.0f} minutes left"
