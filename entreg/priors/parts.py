"""Parts of millions of fixations, of which one is in memory at a time."""

from __future__ import annotations

PART = 2**18


def parts(count: int, numbers: int = 1) -> list[slice]:
    """Return slices that cover `count` rows of so many numbers each; a slice holds PART numbers at most, or one row."""
    length = max(1, PART // max(1, numbers))
    return [slice(start, start + length) for start in range(0, count, length)]
