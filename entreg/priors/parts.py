"""Parts of millions of fixations, of which one is in memory at a time."""

from __future__ import annotations

PART = 2**18


def parts(count: int) -> list[slice]:
    """Return the slices of at most PART rows that cover `count` rows."""
    return [slice(start, start + PART) for start in range(0, count, PART)]
