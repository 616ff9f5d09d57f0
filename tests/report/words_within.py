"""Whether all that a figure draws lies within it."""

from __future__ import annotations

from matplotlib.figure import Figure

HAIR_IN = 0.02  # inches: what may stand over, as half of a line's width does


def assert_within(figure: Figure, name: str = "") -> None:
    """Nothing is drawn beyond the borders of the figure, where it would be cut off."""
    figure.draw_without_rendering()  # finds the places of what has none yet
    drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) >= -HAIR_IN and drawn.x1 <= width + HAIR_IN and drawn.y1 <= height + HAIR_IN, (
        f"{name}: {drawn.extents} is not within {width:.2f} x {height:.2f} inches"
    )
