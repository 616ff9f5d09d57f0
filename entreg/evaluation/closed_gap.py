"""The share of a gap that the adaptation to a set closes, with the interval of a ratio (Fieller 1954).

A share r fits the data where what the adaptation brings minus r times the gap does not differ from 0. The uncertainty
of that is the two-way one over images and trainings of every other difference (`statistics.py`), so that a share's
interval ends where p is 5 %. It has two ends only where the gap itself differs from 0.
"""

from __future__ import annotations

from collections.abc import Callable

import scipy.optimize

from entreg.evaluation.differences import Values, difference, paired
from entreg.evaluation.matrix_rows import RowScores
from entreg.evaluation.statistics import LEVEL, Uncertainty, crossed, crossed_unpaired
from entreg.results.schema import ONE_TRAINING, PAIRED, ShareClosed

MAY_BE_0 = "the gap may be 0"
MOST_DOUBLINGS = 60


def share_closed(pooled: RowScores, adapted: RowScores, ceiling: RowScores, images: list[str]) -> ShareClosed:
    """Return the share of the gap between ceiling and pooled models that adapting the latter closes, on some images."""
    pairing = paired(ceiling.replicates, pooled.replicates)
    top, before = (table.at(images) for table in (ceiling, pooled))
    brought = adapted.at(images, pooled.replicates) - before
    gap = difference(Values([top]), Values([before]), pairing, "higher")
    if gap.ci95 is None:
        why = "one training cannot tell the gap from 0" if pairing.kind == ONE_TRAINING else "one image has no interval"
        return ShareClosed(gap, None, None, why)
    if gap.ci95[0] <= 0:
        return ShareClosed(gap, None, None, MAY_BE_0)
    top, before, brought = top[pairing.ours], before[pairing.base], brought[pairing.base]

    def left_by(share: float) -> Uncertainty:
        """Return what the adaptation brings minus so great a share of the gap, with its uncertainty."""
        if pairing.kind.startswith(PAIRED):
            return crossed([brought - share * (top - before)])
        return crossed_unpaired([-share * top], [-brought - share * before])

    share = float(brought.mean()) / gap.mean
    step = float(left_by(0.0).half_width) / gap.mean or 0.01
    low, high = (_end(left_by, share, sign * step) for sign in (-1, 1))
    if low is None or high is None:  # the gap is so little above 0 that no end was found
        return ShareClosed(gap, None, None, MAY_BE_0)
    return ShareClosed(gap, share, (low, high), None)


def _end(left_by: Callable[[float], Uncertainty], share: float, step: float) -> float | None:
    """Return where p falls to the level on one side of a share; None where it does not."""

    def above(tried: float) -> float:
        return float(left_by(tried).p) - LEVEL

    if above(share) < 0:  # no scatter but rounding
        return share
    inside = share
    for _ in range(MOST_DOUBLINGS):
        if above(inside + step) < 0:
            return float(scipy.optimize.brentq(above, inside, inside + step))
        inside, step = inside + step, 2 * step
    return None
