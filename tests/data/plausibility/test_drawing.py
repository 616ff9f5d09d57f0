"""The drawing of where points lie."""

import numpy as np

from entreg.data.plausibility.drawing import drawn
from tests.data.plausibility.gaze import moved
from tests.data.plausibility.test_wrong_frames import spread


def squeezed(text):
    return [line.split() for line in text.splitlines()]


def test_points_from_the_centre_lie_left_and_above():
    """400 points, 20 x 20: those in the upper left quarter of the box are the 100 right of and below the centre."""
    points = spread()
    text = drawn(moved(points, points.x - 400, points.y - 300))
    rows = squeezed(text)
    # a quarter above and left; of each other quarter 25 or 50 of 400
    assert rows[0] == ["25", "|", "12", "12", ".", ".", "|", "."]
    assert rows[2] == rows[3] == ["12", "|", "6", "6", ".", ".", "|", "."]
    assert rows[4] == rows[5] == rows[7] == [".", "|", ".", ".", ".", ".", "|", "."]
    assert rows[1] == rows[6] == ["+---------------------+"]
    assert len({line.index("+") for line in text.splitlines() if "+" in line}) == 1
    assert [line.index("|") for line in text.splitlines() if "|" in line] == [text.splitlines()[1].index("+")] * 6


def test_fewer_than_half_a_percent_are_not_none():
    points = spread()
    rows = squeezed(drawn(moved(points, np.where(np.arange(400) == 0, 5000, points.x), points.y)))
    assert rows[2][-1] == "<1" and rows[3][-1] == "."
