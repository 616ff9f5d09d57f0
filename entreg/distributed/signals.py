"""Signals that ask a run to stop. Handlers only set a flag, and the run stops where it next can save."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from entreg.distributed.ranks import StopFlag

Handler = Callable[[int, FrameType | None], Any]

# USR2: SLURM announces a time-out or preemption; INT: Ctrl-C; TERM: something else ends the process
ASKING = (signal.SIGUSR2, signal.SIGINT, signal.SIGTERM)
GRACE_S = 20.0  # until a rank that was told to end gives up, because the ranks that it waits for may be gone


class StopRequest(StopFlag):
    """A flag that signals set. A second Ctrl-C ends the process at once.

    ends_after_grace: whether a process that was told to end exits after GRACE_S even if it has not saved
    number: the signal that was received; None before one was
    """

    def __init__(self, ends_after_grace: bool = False) -> None:
        self.number: int | None = None
        self._ends_after_grace = ends_after_grace
        self._previous = {number: signal.signal(number, self._receive) for number in ASKING}
        # in the process of a rank they were blocked until now, see `launch`
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2, signal.SIGINT})

    @property
    def received(self) -> bool:  # type: ignore[override]  # a property replaces the plain flag
        """Whether a signal was received."""
        return self.number is not None

    def restore(self) -> Handler | None:
        """Restore the previous handlers, and return that of USR2 where it was a function."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        handler = self._previous[signal.SIGUSR2]
        return handler if callable(handler) else None

    def ignore_from_now_on(self) -> None:
        """Ignore USR2 and Ctrl-C, since the work is done.

        Python restores the default handlers when it ends, and the signal that comes then would kill the process. What
        is ignored stays ignored.
        """
        for number in (signal.SIGUSR2, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT == self.number:
            raise KeyboardInterrupt
        if number == signal.SIGTERM and self._ends_after_grace and self.number != number:
            timer = threading.Timer(GRACE_S, os._exit, (128 + number,))
            timer.daemon = True  # a process that is done does not wait for it
            timer.start()
        self.number = number


def end_with_parent() -> None:
    """End this process soon after its parent has ended, so that it does not occupy its device for ever."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watches the parent").start()
