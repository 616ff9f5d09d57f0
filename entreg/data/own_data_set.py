"""A data set of one's own as files: fixations.csv, and dataset.yaml, which says what it was made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from entreg.config.tables import TableData
from entreg.data import fixation_table
from entreg.data.dataset import inside, sides_px
from entreg.data.recording import Recording
from entreg.errors import DataError
from entreg.io import digests, files
from entreg.io.leases import make_once
from entreg.version import VERSION

TABLE, DESCRIPTION = "fixations.csv", "dataset.yaml"
COLUMNS = ("image", "subject", "order", "x", "y", "start", "duration")
GROUPS = ("columns", "frame", "text")
OTHERS = ("filter", "key", "time_unit", "subject_from", "image_from", "message")


def refuse_table(root: Path) -> None:
    """Raise a DataError where the folder has a table that no import wrote, before anything is read."""
    if (root / TABLE).exists() and not (root / DESCRIPTION).exists():
        raise _is_there(root / TABLE)


def write(data: TableData, found: Recording) -> tuple[int, str]:
    """Write both files into data.root, or none; return the number of fixations and a line on what became of the rows.

    Places are pixels of the stored image, origin top left; start and duration are ms. Files that hold the same already
    stay, so that an import that was killed goes on. Raises a DataError where no fixation is left, or a file holds
    anything else or cannot be written.
    """
    root = Path(data.root or "")
    table, outside = _inside(found)
    counts = {reason: n for reason, n in {**found.dropped, "outside the image": outside}.items() if n}
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) or "none"
    line = f"{found.rows_read:,} rows -> {len(table):,} fixations; left out: {left_out}"
    if table.empty:
        raise DataError(f"{found.source}: no fixation is left; {line}. data.frame says what x and y are counted in")
    described = yaml.safe_dump(_description(data, found, table, counts), sort_keys=False, allow_unicode=True)
    texts = {root / DESCRIPTION: described, root / TABLE: table.to_csv(index=False)}
    make_once(root / TABLE, lambda: _write(texts))  # the table comes last: where it is, the import is done
    refuse_table(root)
    for path, text in texts.items():
        if not _holds(path, text):
            raise _is_there(path)
        files.remove_temporary_of(path)
    return len(table), line


def _write(texts: Mapping[Path, str]) -> None:
    """Write the files in their order, or none of them."""
    written: list[Path] = []
    try:
        for path, text in texts.items():
            files.remove_temporary_of(path)
            if files.create(path, text):
                written.append(path)
            elif not _holds(path, text):
                raise _is_there(path)
    except DataError as error:
        for path in written:
            path.unlink()
        raise DataError(f"{error}; neither {DESCRIPTION} nor {TABLE} is written") from error


def _holds(path: Path, text: str) -> bool:
    try:
        return path.is_file() and path.read_bytes() == text.encode()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _is_there(path: Path) -> DataError:
    return DataError(f"{path} is there already, and an import changes nothing; rename or remove it")


def _inside(found: Recording) -> tuple[pd.DataFrame, int]:
    """Return the table of the fixations inside their images, with COLUMNS, and the number of those outside."""
    rows = found.fixations
    image = rows["image"].to_numpy()
    width, height = (sides[image] for sides in sides_px(found.stimuli))
    on_image = inside(rows["x"].to_numpy(), rows["y"].to_numpy(), width, height)
    table = rows[on_image].assign(image=[found.stimuli[i].name for i in image[on_image]])
    if "order" in table:
        table["order"] = table["order"].astype(int)
    return table[[name for name in COLUMNS if name in table]], int((~on_image).sum())


def _description(data: TableData, found: Recording, table: pd.DataFrame, counts: dict[str, int]) -> dict[str, Any]:
    """Return what dataset.yaml says."""
    typed = {
        name: {key: value for key, value in dataclasses.asdict(getattr(data, name)).items() if value not in (None, [])}
        for name in GROUPS
    }
    return {
        "fixations": {"file": TABLE, "x_y": "pixels of the stored image, origin top left", "start_duration": "ms"},
        "source": {
            "table": data.table,
            "files": {path.name: f"sha256:{digests.sha256(path)}" for path in fixation_table.files(data)},
            **{name: values for name, values in typed.items() if values},
            **{name: value for name in OTHERS if (value := getattr(data, name))},
            "entreg": VERSION,
        },
        "counts": {
            "images": len(found.stimuli),
            "people": int(table["subject"].nunique()) if "subject" in table else None,
            "rows_read": found.rows_read,
            "fixations": len(table),
            "left_out": counts,
        },
        "notes": list(found.notes),
    }
