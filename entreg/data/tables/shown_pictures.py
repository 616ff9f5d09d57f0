"""Which picture was shown when, in recordings where messages or events say so."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Shown:
    """The pictures of a recording.

    changes: the time of each change, and the picture that is shown from then on; None where it is none
    """

    def __init__(self, changes: Iterable[tuple[float, str | None]]) -> None:
        self.changes = sorted(changes, key=lambda change: change[0])
        self.times = [time for time, _ in self.changes]

    def of(self, start: float, end: float) -> tuple[str | None, str, float]:
        """Return the picture of a fixation, the number of its showing, and the fixation's start since it appeared.

        This is the picture on which the fixation starts, unless another one appears before it ends: then it is that
        one, and the start is negative.
        """
        at = bisect_right(self.times, start) - 1
        until = bisect_right(self.times, end) - 1
        if until > at and self.changes[until][1] is not None:
            at = until
        onset, image = self.changes[at] if at >= 0 else (0.0, None)
        return image, str(at), start - onset
