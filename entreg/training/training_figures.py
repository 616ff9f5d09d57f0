"""The figures in a run's folder: loss curves, bias map and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from entreg.io import files
from entreg.report import panels
from entreg.report.panels import Prediction

# places of panels are written down: to have matplotlib find them takes as long as to draw everything twice
CURVES = {"left": 0.09, "right": 0.98, "bottom": 0.09, "top": 0.95, "wspace": 0.24, "hspace": 0.3}


def loss_curves(path: Path, histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Draw NLL, IG, bias entropy and learning rate by epoch; histories: rows of metrics.csv by the name of the run."""
    figure = Figure(figsize=(10, 6))
    grid = figure.subplots(2, 2, gridspec_kw=CURVES)
    for axes, (keys, label) in zip(grid.flat, panels.LOSS_PANELS, strict=True):
        panels.draw_history(axes, {name: [rows] for name, rows in histories.items()}, keys, label)
    _save(figure, path)


def bias_map(path: Path, log_density: np.ndarray) -> None:
    """Draw the density predicted for uniform images (H, W; nats), as a ratio to the uniform density."""
    _save(panels.bias_panel(log_density, None), path)


def predictions(path: Path, examples: Sequence[Prediction]) -> None:
    """Draw each image with its fixations beside its predicted density, all of them on one colour scale."""
    figure, scale = Figure(figsize=(9, 3.4 * len(examples))), panels.scale_of(examples)
    height = 0.86 / len(examples)
    for number, example in enumerate(examples):
        bottom = 1 - (number + 0.96) / len(examples)
        image, density = (figure.add_axes((left, bottom, 0.44, height)) for left in (0.01, 0.46))
        panels.draw_image(image, example)
        # a file name is no formula
        image.set_title(f"{example.name}: {example.title}", fontsize="medium", parse_math=False)
        shown = panels.draw_density(density, example, scale)
    of_all = figure.add_axes((0.91, bottom, 0.015, 1 - 1 / len(examples) + height))
    figure.colorbar(shown, cax=of_all, label="bit over uniform")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG file, and make its folder."""
    files.write(path, lambda file: figure.savefig(file, format="png", dpi=110))
