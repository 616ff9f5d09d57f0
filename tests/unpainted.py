"""Pages without painted figures, since painting takes seconds and most tests look at words and numbers."""

from __future__ import annotations

import pytest

from entreg.report import panels, pictures


def paint_nothing(patch: pytest.MonkeyPatch) -> None:
    """Make every figure of a page an empty file, and none for dark pages."""
    patch.setattr(panels, "png", lambda figure: b"")
    patch.setattr(pictures, "has_words", lambda figure: False)
