"""task=import: write what a tracker or a program for experiments recorded as fixations.csv, to be looked at and cited.

Beside it, dataset.yaml says what it was made of, in which frame, and what was left out.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import yaml

from entreg.config import Config
from entreg.config.tables import TableData
from entreg.data import fixation_table, recording
from entreg.data.sources import folder as own
from entreg.data.tables.presets import forms
from entreg.errors import DataError, SettingError
from entreg.io import files
from entreg.runs.folder import RunFolder
from entreg.version import VERSION

log = logging.getLogger(__name__)

TABLE, DESCRIPTION = "fixations.csv", "dataset.yaml"
COLUMNS = ("image", "subject", "order", "x", "y", "start", "duration")
OPEN = {  # what points do not show
    "origin": "where x and y are 0 (top_left, bottom_left, centre)",
    "of": "whether they are counted on the image or on the screen",
    "index_base": "whether the first pixel is 0 or 1",
}


def check(config: Config) -> None:
    """Raise a SettingError where nothing is named to be imported, or what x and y are counted in stays open."""
    data = config.data
    if not isinstance(data, own.Settings) or data.root is None or data.file == TABLE:
        raise SettingError(
            "task=import needs a folder with stimuli/, a file and what wrote it: "
            "data=folder data.root=FOLDER data.file=FILE data.table=PRESET"
        )
    for form in forms(data):
        counted = OPEN if form.frame.unit in (None, "px") else {name: OPEN[name] for name in ("origin", "of")}
        unsaid = [
            f"data.frame.{name}: {why}"
            for name, why in counted.items()
            if getattr(form.frame, name) is None and name not in form.in_file
        ]
        if unsaid and not form.refuse:
            raise SettingError("fixations do not show what they are counted in; give\n  " + "\n  ".join(unsaid))


def import_(config: Config, folder: RunFolder) -> int:
    """Write fixations.csv and dataset.yaml into data.root; return the number of fixations.

    Raises a DataError where one of them exists, or the recording cannot be read or holds no fixation on a picture.
    """
    data = config.data
    assert isinstance(data, own.Settings)
    root = Path(data.root or "")
    written = root / TABLE, root / DESCRIPTION
    for path in written:
        if path.exists():
            raise DataError(f"{path} is there already, and an import changes nothing; rename or remove it")
    data.require()
    found = recording.read(data, data.pictures, with_times=True)
    table, outside = _inside(found)
    counts = {**found.dropped, "outside the image": outside}
    line = f"{found.rows_read:,} rows -> {len(table):,} fixations; left out: " + ", ".join(
        f"{count:,} {reason}" for reason, count in counts.items()
    )
    if table.empty:
        raise DataError(f"{found.source}: no fixation is left; {line}. data.frame says what x and y are counted in")
    described = yaml.safe_dump(_description(data, found, table, counts), sort_keys=False, allow_unicode=True)
    try:
        whole = all(files.create(*one) for one in zip(written, (table.to_csv(index=False), described), strict=True))
    except DataError:
        written[0].unlink(missing_ok=True)
        raise
    if not whole:
        raise DataError(
            f"{root}: another import wrote {TABLE} or {DESCRIPTION} meanwhile; look at them, or remove them"
        )
    for note in found.notes:
        log.warning("%s", note)
    log.info("%s: %s", written[0], line)
    folder.finish()
    return len(table)


def _inside(found: recording.Recording) -> tuple[Any, int]:
    """Return the table of the fixations inside their images, with COLUMNS, and the number of those outside."""
    rows = found.fixations
    width, height = (
        rows["image"].map(lambda i, s=side: getattr(found.stimuli[i], s)) for side in ("width_px", "height_px")
    )
    inside = (rows["x"] >= 0) & (rows["y"] >= 0) & (rows["x"] < width) & (rows["y"] < height)
    table = rows[inside].assign(image=[found.stimuli[i].name for i in rows["image"][inside]])
    if "order" in table:
        table["order"] = table["order"].astype(int)
    return table[[name for name in COLUMNS if name in table]], int((~inside).sum())


def _description(data: TableData, found: recording.Recording, table: Any, counts: dict[str, int]) -> dict[str, Any]:
    """Return what dataset.yaml says."""
    typed = {
        name: {key: value for key, value in dataclasses.asdict(getattr(data, name)).items() if value not in (None, [])}
        for name in ("columns", "frame", "text")
    }
    return {
        "fixations": {"file": TABLE, "x_y": "pixels of the stored image, origin top left", "start_duration": "ms"},
        "source": {
            "table": data.table,
            "files": {path.name: f"sha256:{files.sha256(path)}" for path in fixation_table.files(data)},
            **{name: values for name, values in typed.items() if values},
            **{name: value for name in ("filter", "key", "message") if (value := getattr(data, name))},
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
