"""Signals that ask a run to stop: handlers only set a flag, and the run saves where it next can."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from entreg.ranks import StopFlag

Handler = Callable[[int, FrameType | None], Any]

# USR2: a SLURM time-out or preemption that is announced; INT: Ctrl-C; TERM: whoever else ends the process
ASKING = (signal.SIGUSR2, signal.SIGINT, signal.SIGTERM)
GRACE_S = 20.0  # of a rank that was told to end: others may be gone that it waits for


class StopRequest(StopFlag):
    """Whether this process was asked to stop, and by which signal. A second Ctrl-C ends it at once."""

    def __init__(self, ends_after_grace: bool = False) -> None:
        """ends_after_grace: a process that was told to end and has not saved after GRACE_S ends all the same."""
        self.number: int | None = None
        self._ends_after_grace = ends_after_grace
        self._previous = {number: signal.signal(number, self._receive) for number in ASKING}
        # in a started rank they were held back until now, see `launch`
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2, signal.SIGINT})

    @property
    def received(self) -> bool:  # type: ignore[override]  # a plain flag becomes an answer
        """Whether a signal has come."""
        return self.number is not None

    def restore(self) -> Handler | None:
        """Puts the handlers found back and returns that of USR2, where it was a function."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        handler = self._previous[signal.SIGUSR2]
        return handler if callable(handler) else None

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT == self.number:
            raise KeyboardInterrupt
        if number == signal.SIGTERM and self._ends_after_grace and self.number != number:
            timer = threading.Timer(GRACE_S, os._exit, (128 + number,))
            timer.daemon = True  # a process that is done does not wait for it
            timer.start()
        self.number = number


def end_with_parent() -> None:
    """Ends this process soon after its parent has ended: nobody else would, and it would hold its device."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watches the parent").start()
