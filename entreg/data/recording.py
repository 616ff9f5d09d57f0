"""Fixations of a table on the pictures of a folder, in pixels of the stored images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from entreg.config.tables import Frame, TableData
from entreg.data import fixation_table
from entreg.data.dataset import Stimulus, sides_px
from entreg.data.images import pictures_below, size_of
from entreg.data.tables import image_names
from entreg.data.tables.frames import SHOWN, to_image
from entreg.errors import DataError
from entreg.io.safe_paths import refuse_link_out


@dataclass(frozen=True)
class Recording:
    """Stimuli and fixations on them.

    stimuli: all pictures of the folder
    fixations: (n,) rows with the columns image (index of the stimulus), x, y in pixels of the stored image, origin top
        left, also outside, and, where they are known, subject (a Categorical), order, start and duration (ms)
    rows_read, dropped: the number of rows in the files, and of those that are left out by reason
    repeated: the number of rows that repeat the image, subject and order of another
    source: the table's file, or the first of several
    notes: what else was decided
    """

    source: Path
    stimuli: tuple[Stimulus, ...]
    fixations: pd.DataFrame
    rows_read: int
    dropped: dict[str, int]
    repeated: int
    notes: tuple[str, ...]


def read(settings: TableData, pictures: Path, *, with_times: bool = False) -> Recording:
    """Return the pictures below a folder and the fixations of the settings' table on them.

    A preset's table may also name other things than these pictures, such as a blank screen: such rows are left out,
    counted and noted. Raises a DataError where a file cannot be read or rows name a picture that does not exist.
    """
    table = fixation_table.read(settings, with_times=with_times)
    source = fixation_table.files(settings)[0]
    if not table.rows_read:
        raise DataError(f"{source} has no rows below its header; it needs one for each fixation")
    names = table.names()
    paths = pictures_below(pictures, names)
    if not paths:
        raise DataError(f"{settings.root}: there is no image in {pictures.name}; put the pictures there")
    for path in paths.values():
        refuse_link_out(path, pictures)
    meant = image_names.match(names, paths, pictures)
    lost = [name for name in names if name not in meant]
    if lost and (settings.table is None or not meant):
        raise DataError(
            f"{table.place_of_image(lost[0])}: there is no image {lost[0][:100]!r} in {pictures} ({len(lost)} such "
            f"name{'s' * (len(lost) > 1)}). The column image holds paths below stimuli/"
        )
    stimuli = tuple(Stimulus(name, path, *size_of(path)) for name, path in paths.items())
    numbers = {name: i for i, name in enumerate(paths)}
    column = table.fixations["image"].cat
    image = np.array([numbers[meant[n]] if n in meant else -1 for n in column.categories], np.int32)[column.codes]
    rows, dropped, notes = table.fixations, dict(table.dropped), list(table.notes)
    if lost:
        rows, image = rows[image >= 0], image[image >= 0]
        dropped["on no picture of the folder"] = len(table) - len(rows)
        notes.append(
            f"no picture in {pictures} has the name {', '.join(map(repr, lost[:5]))}{', ...' * (len(lost) > 5)}"
        )
    rows, impossible = _in_pixels(rows, image, table.frame, stimuli, settings.px_per_degree)
    if impossible.any():
        dropped["with an impossible place"] = int(impossible.sum())
        rows = rows[~impossible]
    return Recording(source, stimuli, rows, table.rows_read, dropped, table.repeated(), tuple(notes))


def _in_pixels(
    rows: pd.DataFrame, image: np.ndarray, frame: Frame, stimuli: tuple[Stimulus, ...], px_per_degree: float | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows with the index of the stimulus and its pixels, and which places are impossible: (n,)."""
    width, height = (sides[image].astype(np.float64) for sides in sides_px(stimuli))
    shown = {name: rows[name].to_numpy() for name in SHOWN if name in rows}
    x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
    x, y, impossible = to_image(frame, x, y, width, height, px_per_degree, shown)
    kept = {name: rows[name] for name in ("subject", "order", "start", "duration") if name in rows}
    return pd.DataFrame({"image": image, "x": x, "y": y, **kept}, index=rows.index, copy=False), impossible
