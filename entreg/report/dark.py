"""Recolour a figure for a dark page: what is black, grey or white changes places; colours and pictures stay."""

from __future__ import annotations

from typing import Any

from matplotlib import colors
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

PAPER, INK = 0.12, 0.91  # the lightness that white and black get: those of the dark page
# the getters and setters of each kind of artist's colours
KINDS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (Text, ("color",)),
    (Line2D, ("color", "markeredgecolor", "markerfacecolor")),
    (Patch, ("edgecolor", "facecolor")),
    (LineCollection, ("edgecolor",)),
)


def darken(figure: Figure) -> None:
    """Recolour a figure. Scattered points keep their colours, since they may lie on a picture."""
    for artist in figure.findobj():
        for kind, names in KINDS:
            if isinstance(artist, kind):
                for name in names:
                    _recolour(artist, name)


def has_words(figure: Figure) -> bool:
    """Return whether any text or axis is drawn, so that the figure needs a version for a dark page."""
    return any(axes.axison for axes in figure.axes)


def _recolour(artist: Any, name: str) -> None:
    """Change one colour of an artist where it has no hue."""
    found = colors.to_rgba_array(getattr(artist, f"get_{name}")())
    if len(found) == 1 and found[0, 3] > 0 and len({*found[0, :3]}) == 1:
        lightness = INK + (PAPER - INK) * found[0, 0]
        getattr(artist, f"set_{name}")((lightness, lightness, lightness, found[0, 3]))
