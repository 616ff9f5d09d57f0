"""What figures are drawn of and results.json does not hold; an evaluation saves it, so that they can be drawn later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entreg.errors import DataError, brief
from entreg.io import arrays, files
from entreg.report.panels import Prediction

VERSION = 1  # of the file


@dataclass(frozen=True)
class Illustrations:
    """The maps, curves and predictions of an evaluation.

    histories: by arm, for each training the rows of metrics.csv; bias_maps: by arm, (H, W) nats
    mean_densities: by foreign domain, (H, W) nats of `fixations` and of each arm
    examples: by domain, pairs of a label (best, median or worst) and the predictions by arm
    """

    histories: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
    bias_maps: Mapping[str, np.ndarray]
    mean_densities: Mapping[str, Mapping[str, np.ndarray]]
    examples: Mapping[str, Sequence[tuple[str, Mapping[str, Prediction]]]]


def write(path: Path, shown: Illustrations) -> None:
    """Write the illustrations as arrays: maps in nats, photos as stored, and the rest as JSON under `about`."""
    saved: dict[str, np.ndarray] = {"format": np.array(VERSION)}
    saved |= {f"bias/{arm}": log_density for arm, log_density in shown.bias_maps.items()}
    for domain, maps in shown.mean_densities.items():
        saved |= {f"mean/{domain}/{name}": log_density for name, log_density in maps.items()}
    labels: dict[str, list[Any]] = {}
    for domain, rows in shown.examples.items():
        for i, (label, predictions) in enumerate(rows):
            first = next(iter(predictions.values()))
            titles = {arm: prediction.title for arm, prediction in predictions.items()}
            labels.setdefault(domain, []).append({"label": label, "name": first.name, "titles": titles})
            key = f"example/{domain}/{i}"
            saved |= {f"{key}/photo": first.image, f"{key}/y": first.y, f"{key}/x": first.x}
            saved |= {f"{key}/{arm}/density": prediction.log_density for arm, prediction in predictions.items()}
    about = {
        "histories": shown.histories,
        "bias": list(shown.bias_maps),
        "mean": {domain: list(maps) for domain, maps in shown.mean_densities.items()},
        "examples": labels,
    }
    arrays.write(path, saved | {"about": np.array(json.dumps(about))})


def read(path: Path) -> Illustrations:
    """Return what `write` wrote. Raises a DataError where the file is damaged."""
    try:
        saved = arrays.read(path, VERSION)
        about = json.loads(str(saved["about"]))
        means, examples = about["mean"].items(), about["examples"].items()
        return Illustrations(
            about["histories"],
            {arm: saved[f"bias/{arm}"] for arm in about["bias"]},
            {domain: {name: saved[f"mean/{domain}/{name}"] for name in names} for domain, names in means},
            {
                domain: [
                    (row["label"], _predictions(saved, f"example/{domain}/{n}", row)) for n, row in enumerate(rows)
                ]
                for domain, rows in examples
            },
        )
    except Exception as error:  # a damaged file raises errors of many kinds
        reason = f"cannot be read as the illustrations of an evaluation: {brief(error)}"
        raise DataError(f"{path}: {reason}; {files.WAY_OUT}") from error


def _predictions(saved: Mapping[str, np.ndarray], key: str, row: Mapping[str, Any]) -> dict[str, Prediction]:
    """Return the predictions of an image by arm."""
    photo, y, x = (saved[f"{key}/{what}"] for what in ("photo", "y", "x"))
    return {
        arm: Prediction(row["name"], title, photo, saved[f"{key}/{arm}/density"], y, x)
        for arm, title in row["titles"].items()
    }
