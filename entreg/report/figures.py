"""Pictures of runs and comparisons. Units on the axes; viridis and Okabe-Ito colours, fit for the colour-blind."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from entreg import files

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MAP_COLOURS = "viridis"


@dataclass(frozen=True)
class Prediction:
    """An image (H, W, 3), what a model predicts for it (H, W; nats), and where people looked (pixels)."""

    title: str
    image: np.ndarray
    log_density: np.ndarray
    y: np.ndarray
    x: np.ndarray


def loss_curves(path: Path, histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """NLL, IG, bias entropy and learning rate by epoch; histories: rows of metrics.csv by the name of the run."""
    panels = (
        (("train_nll_nats", "validation_nll_nats"), "NLL (nats/fixation)"),
        (("validation_ig_bits_per_fixation",), "validation IG over the\nGaussian prior (bit/fixation)"),
        (("bias_entropy_nats",), "bias map entropy (nats)"),
        (("lr",), "learning rate"),
    )
    figure = Figure(figsize=(10, 6), layout="constrained")
    for axes, (keys, label) in zip(figure.subplots(2, 2).flat, panels):
        for colour, (name, rows) in zip(COLOURS * len(histories), histories.items()):
            for key, style in zip(keys, ("--", "-") if len(keys) == 2 else ("-",)):
                kind = f", {key.split('_')[0]}" if len(keys) == 2 else ""
                axes.plot([row["epoch"] for row in rows], [row[key] for row in rows], style, color=colour,
                          marker="." if len(rows) < 3 else None, label=f"{name}{kind}")
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
        if keys == ("lr",):
            axes.set_yscale("log")
    figure.axes[0].legend(fontsize="small")
    _save(figure, path)


def bias_map(path: Path, log_density: np.ndarray) -> None:
    """The density predicted for uniform images (H, W; nats), as a ratio to the uniform density."""
    figure = Figure(figsize=(6, 4.6), layout="constrained")
    axes = figure.subplots()
    ratio = np.exp(log_density) * log_density.size
    entropy = -(np.exp(log_density) * log_density).sum()
    shown = axes.imshow(ratio, cmap=MAP_COLOURS, vmin=0)
    axes.set(xlabel="x (px)", ylabel="y (px)",
             title=f"bias map: {entropy:.3f} of at most {math.log(log_density.size):.3f} nats")
    figure.colorbar(shown, ax=axes, label="density / uniform density")
    _save(figure, path)


def predictions(path: Path, examples: Sequence[Prediction]) -> None:
    """Each image with its fixations beside the predicted density with the same fixations."""
    figure = Figure(figsize=(9, 3.4 * len(examples)), layout="constrained")
    for row, example in zip(figure.subplots(len(examples), 2, squeeze=False), examples):
        draw_prediction(row, example)
    _save(figure, path)


def draw_prediction(pair: Sequence[Any], example: Prediction) -> None:
    """Image and predicted density, both with the fixations, on a pair of axes."""
    pair[0].imshow(example.image)
    # bit above the uniform density, clipped where nobody would tell the difference
    relative = (example.log_density + math.log(example.log_density.size)) / math.log(2)
    shown = pair[1].imshow(relative, cmap=MAP_COLOURS, vmin=max(relative.min(), -8))
    pair[1].figure.colorbar(shown, ax=pair[1], label="bit over uniform")
    pair[0].set_title(example.title, fontsize="medium")
    for axes in pair:
        axes.scatter(example.x, example.y, s=6, c="white", edgecolors="black", linewidths=0.4)
        axes.set_axis_off()


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, lambda file: figure.savefig(file, format="png", dpi=110))
