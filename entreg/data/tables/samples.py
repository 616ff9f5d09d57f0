"""Recordings of samples in JSON: jsPsych with WebGazer, and SALICON. Samples are not fixations and must be accepted.

jsPsych   [{stimulus, webgazer_data: [{x, y, t}], webgazer_targets: {selector: {x, y, width, height}}}, ...]
          pixels of the browser's window; the box of the image stands in the same trial
SALICON   {images: [{id, file_name}], annotations: [{image_id, worker_id, fixations: [[row, column], ...]}]}
          mouse samples without a time, pixels of the image, from 1 (salicon-api)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from entreg.config.tables import TableData
from entreg.data.tables.memory_table import MemoryTable
from entreg.data.tables.presets import Form
from entreg.errors import DataError
from entreg.io import files

NAMES = ("image", "subject", "trial", "start", "x", "y", "shown_x", "shown_y", "shown_width", "shown_height")
BOX = ("x", "y", "width", "height")


def open_table(path: Path, settings: TableData, form: Form) -> tuple[MemoryTable, Form]:
    """Return the samples of a recording.

    Raises a DataError where samples are not accepted, or the file holds none in the form of jsPsych or SALICON.
    """
    content = files.read_json(path)
    try:
        rows = list(_salicon(content) if isinstance(content, dict) else _jspsych(content, path))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(
            f"{path} is no recording of jsPsych's WebGazer extension or of SALICON ({type(error).__name__} {error}); "
            "give another file"
        ) from error
    if "samples" not in settings.accept:
        raise DataError(
            f"{path} holds {len(rows):,} samples, not fixations: a long look would count as often as it was sampled. "
            "Make fixations of them with a detector (I-DT, I-VT, I2MC, REMoDNaV) and give these, or use the samples as "
            "they are: data.accept=[samples]"
        )
    return MemoryTable(path, NAMES, rows, range(1, len(rows) + 1), settings.text), form


def _salicon(content: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    names = {image["id"]: image["file_name"] for image in content["images"]}
    for number, person in enumerate(content["annotations"]):
        for row, column in person["fixations"]:
            yield names[person["image_id"]], person["worker_id"], number, None, column, row, *[None] * 4


def _jspsych(content: list[dict[str, Any]], path: Path) -> Iterator[tuple[Any, ...]]:
    for number, trial in enumerate(content):
        if "webgazer_data" not in trial:
            continue
        targets = trial.get("webgazer_targets") or {}
        boxes = [box for selector, box in targets.items() if len(targets) == 1 or "stimulus" in selector]
        if len(boxes) != 1:
            raise DataError(
                f"{path}, trial {number}: webgazer_targets does not say where the image was; give it the image alone"
            )
        person = trial.get("subject", path.stem)
        for sample in trial["webgazer_data"]:
            place = (boxes[0][side] for side in BOX)
            yield trial["stimulus"], person, number, sample["t"], sample["x"], sample["y"], *place
