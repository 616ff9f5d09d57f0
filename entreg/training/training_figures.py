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


def loss_curves(path: Path, histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Draw NLL, IG, bias entropy and learning rate by epoch; histories: rows of metrics.csv by the name of the run."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    for axes, (keys, label) in zip(figure.subplots(2, 2).flat, panels.LOSS_PANELS, strict=True):
        panels.draw_history(axes, {name: [rows] for name, rows in histories.items()}, keys, label)
    _save(figure, path)


def bias_map(path: Path, log_density: np.ndarray) -> None:
    """Draw the density predicted for uniform images (H, W; nats), as a ratio to the uniform density."""
    _save(panels.bias_panel(log_density, None), path)


def predictions(path: Path, examples: Sequence[Prediction]) -> None:
    """Draw each image with its fixations beside its predicted density, all of them on one colour scale."""
    figure, scale = Figure(figsize=(9, 3.4 * len(examples)), layout="constrained"), panels.scale_of(examples)
    for row, example in zip(figure.subplots(len(examples), 2, squeeze=False), examples, strict=True):
        panels.draw_image(row[0], example)
        # panchor: a portrait stays in the middle of its column, as its image does
        figure.colorbar(panels.draw_density(row[1], example, scale), ax=row[1], label="bit over uniform", panchor=False)
        # a file name is no formula
        row[0].set_title(f"{example.name}: {example.title}", fontsize="medium", parse_math=False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG file, and make its folder."""
    files.write(path, lambda file: figure.savefig(file, format="png", dpi=110))
