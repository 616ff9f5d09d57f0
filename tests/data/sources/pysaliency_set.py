"""The data set in pysaliency_files/, which pysaliency 0.2.22 has written (tests/pysaliency/write.py)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FILES = Path(__file__).with_name("pysaliency_files")
NAMES = ["i10.png", "i2.png", "sub/i1.png"]  # in the files' order, which is not the natural one
SIZES = {"i10.png": (30, 40), "i2.png": (40, 30), "sub/i1.png": (20, 25)}
# scanpaths: one ends outside its image, one has a single fixation
GAZES: dict[str, Any] = {
    "xs": [[20.5, 3.25, 11.0], [15.0, 29.9], [7.0], [12.0, 24.5, 25.0], [19.0, 1.5]],
    "ys": [[15.5, 29.75, 0.0], [20.0, 39.9], [8.0], [10.0, 19.5, 3.0], [14.0, 2.5]],
    "ns": [0, 1, 1, 2, 0],
    "subjects": [0, 0, 1, 1, 2],
}


def draw(folder: Path) -> list[Path]:
    """The three images."""
    paths = []
    for number, name in enumerate(NAMES):
        height, width = SIZES[name]
        path = folder / "stimuli" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rgb = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(path)
        paths.append(path)
    return paths


def copied(folder: Path) -> Path:
    """The files beside the images."""
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    draw(folder)
    return folder
