"""Where points lie with respect to their images, drawn as a table of percentages."""

from __future__ import annotations

import numpy as np

from entreg.data.plausibility.points import Points

PARTS = 4  # of each side of an image
LINE = "-" * (5 * PARTS + 1)


def drawn(points: Points) -> str:
    """Return lines with the percentage of the points in each sixteenth of the images, and beyond each side."""
    column, row = (np.clip(np.floor(PARTS * share), -1, PARTS).astype(int) + 1 for share in points.shares)
    counts = np.zeros((PARTS + 2, PARTS + 2))
    np.add.at(counts, (row, column), 1)
    rows = ["".join(_cell(count / len(points)) for count in counts_of_row) for counts_of_row in counts]
    framed = [f"{line[:5]} |{line[5:-5]} |{line[-5:]}" for line in rows]
    framed[1:1] = framed[-1:-1] = [f"{'':6}+{LINE}+"]
    return "\n".join(f"  {line}".rstrip() for line in framed)


def _cell(share: float) -> str:
    text = "." if share == 0 else "<1" if share < 0.005 else f"{100 * share:.0f}"
    return f"{text:>5}"
