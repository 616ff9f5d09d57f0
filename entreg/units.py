"""Image sizes, nats and bits, defined once for all packages."""

from __future__ import annotations

import math

BITS_PER_NAT = 1 / math.log(2)

Size = tuple[int, int]  # (H, W), pixels


def uniform_log_density_nats(size: Size) -> float:
    """Return the log density that the uniform distribution has on each of the H*W pixels: -log(H*W)."""
    height, width = size
    return -math.log(height * width)
