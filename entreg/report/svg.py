"""Draw a figure as an SVG that a dark page shows dark: black, grey and white change places; colours and maps stay."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

PAPER, INK = 0.12, 0.91  # the lightness that white and black get: those of the dark page
DPI = 150  # of maps and photos within it
# letters are drawn as shapes, so that they look the same everywhere; the same figure gives the same bytes
STYLE: Any = {"svg.fonttype": "path", "svg.hashsalt": "entreg"}
NOTHING_ABOUT_IT = dict.fromkeys(("Creator", "Date", "Format", "Type"))
GREY = re.compile(r"\b(fill|stroke): #(?P<level>[0-9a-f]{2})(?P=level)(?P=level)\b")


def svg(figure: Figure) -> bytes:
    """Return the figure as an SVG, by default on white, and on a dark page in its colours."""
    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", dpi=DPI, metadata=NOTHING_ABOUT_IT)
    return _for_both_pages(file.getvalue().decode()).encode()


def _for_both_pages(drawing: str) -> str:
    """Name each grey in the drawing, and say what it is on a light page and on a dark one.

    Scattered points keep their colours, since they may lie on a picture. What has no colour of its own is black.
    """
    levels = sorted({"00"} | {found["level"] for found in GREY.finditer(drawing)})
    light = "".join(f"--grey-{level}:#{level * 3};" for level in levels)
    dark = "".join(f"--grey-{level}:#{_on_dark(level) * 3};" for level in levels)
    style = (
        f"<style>:root{{fill:var(--grey-00);{light}}}"
        f"@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}[id^=PathCollection]{{{light}}}}}</style>"
    )
    start = drawing.index(">", drawing.index("<svg")) + 1
    return drawing[:start] + style + GREY.sub(r"\1: var(--grey-\g<level>)", drawing[start:])


def _on_dark(level: str) -> str:
    """Return the level of grey, two hexadecimal digits, that stands for this one on a dark page."""
    return f"{round(255 * (INK + (PAPER - INK) * int(level, 16) / 255)):02x}"
