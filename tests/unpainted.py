"""Figures that are not drawn, since drawing takes seconds and most tests look at words and numbers.

A test that looks at a picture is marked `painted`. Processes that tests start draw all of their figures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from entreg.io import files
from entreg.report import data_pictures, panels
from entreg.training import training_figures

EMPTY = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


class Painting:
    """Whether figures are drawn, or are empty and saved as an empty drawing."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.is_on = False
        patch.setattr(Figure, "savefig", self._unless_on(Figure.savefig, _save_nothing))
        for module in (panels, data_pictures):
            for name in vars(module):
                if name.endswith("_panel") and name != "blank_panel":
                    patch.setattr(module, name, self._unless_on(getattr(module, name), lambda *_, **__: Figure()))
        for name in ("loss_curves", "bias_map", "predictions"):
            patch.setattr(training_figures, name, self._unless_on(getattr(training_figures, name), _write_nothing))

    def _unless_on(self, real: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
        def chosen(*arguments: Any, **settings: Any) -> Any:
            return (real if self.is_on else instead)(*arguments, **settings)

        return chosen


def _save_nothing(figure: Figure, file: Any, **settings: Any) -> None:
    file.write(EMPTY)


def _write_nothing(path: Path, *_: Any) -> None:
    files.write(path, lambda file: file.write(EMPTY))
