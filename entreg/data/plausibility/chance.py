"""Which counts chance explains: exact tails of binomial distributions.

A set is refused at a tail of 1e-4 for each single check, so that even a thousand plausible sets whose true shares were
as great as the limits would be refused less than once. The shares of real sets are far below the limits.
"""

from __future__ import annotations

RARE = 1e-4


def more_than(share: float, count: int, n: int, rare: float = RARE) -> bool:
    """Return whether so many of n are more than chance explains where each is one with this probability."""
    if count <= 0:
        return False
    from scipy.special import bdtrc  # takes half a second, and most sets have nothing to count

    return bool(bdtrc(count - 1, n, share) < rare)


def fewer_than(share: float, count: int, n: int) -> bool:
    """Return whether so few of n are fewer than chance explains where each is one with this probability."""
    from scipy.special import bdtr

    return bool(bdtr(count, n, share) < RARE)
