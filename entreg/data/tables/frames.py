"""From what a table counts in to pixels of the stored image, origin top left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from entreg.config.tables import Frame
from entreg.errors import SettingError

SHOWN = ("shown_x", "shown_y", "shown_width", "shown_height")
AXES = (("x", "width"), ("y", "height"))
FARTHEST = 2.0  # screens from the screen's origin: no eye looks there, a program marks lost gaze with such numbers


def to_image(
    frame: Frame,
    x: np.ndarray,
    y: np.ndarray,
    width_px: np.ndarray,
    height_px: np.ndarray,
    px_per_degree: float | None = None,
    shown: Mapping[str, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x and y in pixels of the stored image, and which places are impossible rather than outside: (n,) each.

    width_px, height_px: (n,) sizes of the stored images
    shown: (n,) each, where a table says for each row where and how large its image was shown (SHOWN)

    A place is impossible where it lies a whole screen or more beyond the screen's edges. Where no screen is known, none
    is. Raises a SettingError where the frame needs the screen's size and does not know it.
    """
    places, impossible = [], np.zeros(len(x), dtype=bool)
    for (axis, side), values, stored in zip(AXES, (x, y), (width_px, height_px), strict=True):
        moved, of_screen = _along(frame, axis, side, values, stored, px_per_degree, shown or {})
        places.append(moved)
        if of_screen is not None:
            impossible |= (of_screen <= 1 - FARTHEST) | (of_screen >= FARTHEST)
    return places[0], places[1], impossible


def _along(
    frame: Frame,
    axis: str,
    side: str,
    values: np.ndarray,
    stored: np.ndarray,
    px_per_degree: float | None,
    shown: Mapping[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return places along one axis in pixels of the stored image, and as shares of the screen if its size is known."""
    screen = getattr(frame, f"screen_{side}_px")
    size: Any = _first(shown.get(f"shown_{side}"), getattr(frame, f"shown_{side}_px"), stored)
    edge: Any = _first(shown.get(f"shown_{axis}"), getattr(frame, f"shown_{axis}_px"))
    on_screen = frame.of == "screen"
    if (
        on_screen
        and screen is None
        and (edge is None or frame.unit == "shares" or frame.origin not in (None, "top_left"))
    ):
        raise SettingError(
            f"data.frame.screen_{side}_px is needed: x and y are counted on the screen"
            + (f", and where the image stood on it is not known either (data.frame.shown_{axis}_px)" * (edge is None))
        )
    extent = screen if on_screen else size
    places = values - frame.index_base if frame.index_base else values
    if frame.unit == "shares":
        places = places * extent
    elif frame.unit == "degrees":
        places = places * (px_per_degree or 1) * (size / stored)
    if frame.origin == "centre":
        places = extent / 2 + places if axis == "x" else extent / 2 - places
    elif frame.origin == "bottom_left" and axis == "y":
        places = extent - places
    of_screen = None
    if on_screen:
        of_screen = places / screen if screen is not None else None
        places = places - ((screen - size) / 2 if edge is None else edge)
    elif frame.unit == "shares":
        of_screen = values  # the image is at most the screen
    if size is stored:
        return places, of_screen
    return places * (stored / size), of_screen


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
