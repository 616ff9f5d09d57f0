"""Parts of millions of fixations, of which one is in memory at a time."""

from __future__ import annotations

PART = 2**18


def parts(count: int, fixations: int = 1) -> list[slice]:
    """Return slices that cover `count` rows of so many fixations each; a slice holds PART fixations, or one row."""
    length = max(1, PART // fixations)
    return [slice(start, start + length) for start in range(0, count, length)]
