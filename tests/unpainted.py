"""Pages without painted figures, since painting takes seconds and most tests look at words and numbers."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from entreg.report import data_pictures, panels, pictures


def paint_nothing(patch: pytest.MonkeyPatch) -> None:
    """Make every panel of a page an empty figure, and every figure an empty file; tests of panels look at these."""
    nothing = Figure()
    for module in (panels, data_pictures):
        for name in vars(module):
            if name.endswith("_panel"):
                patch.setattr(module, name, lambda *arguments, **settings: nothing)
    patch.setattr(panels, "png", lambda figure: b"")
    patch.setattr(pictures, "svg", lambda figure: b"")
