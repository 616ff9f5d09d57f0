"""The progress of long work: a bar on a terminal; elsewhere, as in the log of a cluster job, a line once a minute."""

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
    """The progress of work that consists of equal parts, shown by the first rank alone.

    Use it as `with Progress(...) as progress:` and call `progress.step()` after each part.

    what: the name of the work
    count: the number of parts; None where it is unknown
    unit: the name of one part, B for bytes
    done: the number of parts that were done earlier
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
        """Count `parts` more parts as done."""
        self._done += parts
        self._bar.update(parts)
        now = time.monotonic()
        if self._logs and now - self._told >= TOLD_EVERY_S:
            self._told = now
            log.info("%s", self._line((self._done - self._before) / (now - self._started)))

    def say(self, text: str) -> None:
        """Log a remark about the work, unless a bar shows its progress."""
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
