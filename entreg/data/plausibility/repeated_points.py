"""Whether many points lie at exactly one place, as where an eye tracker writes the same numbers for a lost gaze."""

from __future__ import annotations

import numpy as np

from entreg.data.plausibility.chance import more_than
from entreg.data.plausibility.finding import Finding
from entreg.data.plausibility.points import Points
from entreg.data.plausibility.small_coordinates import DENSEST

FEWEST = 10  # points; fewer at one place show nothing
# Shares of points; in OSIE, SCENE50 and CROWD100 none lies at the origin, and at most 2 of 87,821 at one place.
MOST_AT_ORIGIN, MOST_AT_ONE_PLACE = 0.001, 0.05


def at_one_place(points: Points) -> tuple[list[Finding], np.ndarray]:
    """Return what is found, and which points lie elsewhere: (n,) bool."""
    findings, rest = [], np.ones(len(points), dtype=bool)
    origin = (points.x == 0) & (points.y == 0)
    if _is_more(origin, points, MOST_AT_ORIGIN):
        rest &= ~origin
        findings.append(
            _finding("at_origin", origin, "at exactly (0, 0), which trackers write where they lose the eye")
        )
    if rest.any():
        for place, at_place in (_most_frequent_pixel(points, rest), _most_frequent_share(points, rest)):
            if _is_more(at_place, points, MOST_AT_ONE_PLACE):
                rest &= ~at_place
                findings.append(_finding("one_point", at_place, f"at exactly one point of their images ({place})"))
                break
    return findings, rest


def _is_more(at_place: np.ndarray, points: Points, most: float) -> bool:
    on_a_pixel = float(np.minimum(1, DENSEST / (points.width_px * points.height_px)).mean())
    count = int(at_place.sum())
    return count >= FEWEST and more_than(min(1.0, most + on_a_pixel), count, len(points))


def _most_frequent_pixel(points: Points, rest: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the most frequent x and y of the rest in words, and which points have it: (n,)."""
    some = points[rest].some
    x, y = _most_frequent(some.x, some.y)
    return f"{x:g}, {y:g}", (points.x == x) & (points.y == y)


def _most_frequent_share(points: Points, rest: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the rest's most frequent place as shares of the sides in words, and which points lie there: (n,)."""
    (u, v), (x, y) = points.shares, _most_frequent(*points[rest].some.shares)
    return f"{x:.3f}, {y:.3f} as shares of the sides", (u == x) & (v == y)


def _most_frequent(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    places, counts = np.unique(x + 1j * y, return_counts=True)
    place = complex(places[counts.argmax()])
    return place.real, place.imag


def _finding(kind: str, at_place: np.ndarray, where: str) -> Finding:
    count, n = int(at_place.sum()), len(at_place)
    return Finding(kind, count, n, f"{count} of {n} fixations lie {where}", "", "leave such rows out")
