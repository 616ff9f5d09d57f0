"""How far long work has come: a bar on a terminal; elsewhere, as in a job's log, a line now and then."""
from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from tqdm import tqdm

log = logging.getLogger(__name__)

TOLD_EVERY_S = 60.0


class Progress:
    """Of work that consists of `count` like parts. `with Progress(...) as progress:`, and `progress.step()` after each.

    what: the work's name; unit: of one part; told: False on ranks that say nothing
    """

    def __init__(self, what: str, count: int, unit: str, told: bool = True) -> None:
        show = told and sys.stderr.isatty()
        self._bar = tqdm(total=count, desc=what, unit=unit, disable=not show)
        self._what, self._count, self._unit, self._logs = what, count, unit, told and not show
        self._done = 0
        self._started = self._told = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def step(self) -> None:
        """One more part is done."""
        self._done += 1
        self._bar.update()
        now = time.monotonic()
        if self._logs and now - self._told >= TOLD_EVERY_S:
            self._told, rate = now, self._done / (now - self._started)
            log.info("%s: %d of %d %ss, %.2f %ss/s, %.0f minutes left", self._what, self._done, self._count, self._unit,
                     rate, self._unit, (self._count - self._done) / rate / 60)
