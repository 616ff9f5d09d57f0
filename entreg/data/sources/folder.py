"""Everybody's own data: images in stimuli/ and fixations.csv beside it."""
from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entreg.config import Data
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.images import pictures_below, size_of
from entreg.errors import DataError
from entreg.settings import setting

REQUIRED = ("image", "x", "y")


@dataclass
class Settings(Data):
    """stimuli/ and fixations.csv (image, x, y, optionally subject and order) in the folder `root`."""

    drop_first: bool = setting(
        True, "drop the first fixation of each trial (order 0), where the order is known", changes="result"
    )

    def require(self) -> None:
        """DataError where stimuli/ or fixations.csv is missing."""
        if not (self.root and self.pictures.is_dir()):
            raise _missing(self, "no folder stimuli there")
        if not self.table.is_file():
            raise _missing(self, "no fixations.csv there")

    @property
    def pictures(self) -> Path:
        """The folder of the stimuli."""
        return Path(self.root or "") / "stimuli"

    @property
    def table(self) -> Path:
        """The table of the fixations."""
        return Path(self.root or "") / "fixations.csv"


def load(settings: Settings) -> DataSet:
    """All images below stimuli/ and the rows of fixations.csv.

    image: path below stimuli/; x, y: pixels of the stored image, origin top left; subject (optional): any name;
    order (optional): place in the trial, from 0. Other columns are ignored. Images without a fixation are kept.
    DataError: a file or column is missing, a row is malformed or names no image (with its line), nothing is left.
    """
    settings.require()
    table, pictures = settings.table, settings.pictures
    rows = list(_rows(table))
    if not rows:
        raise DataError(f"{table} has no fixations: nothing below its header")
    named = {row[1] for row in rows}
    paths = pictures_below(pictures, named)
    if not paths:
        raise _missing(settings, "no image in stimuli")
    lost = [row for row in rows if row[1] not in paths]
    if lost:
        line, name, count = *lost[0][:2], len({row[1] for row in lost})
        raise DataError(
            f"{table}, line {line}: no image {name!r} in {pictures} ({count} such name{'s' * (count > 1)}). "
            "The column image holds paths below stimuli/, with their extension."
        )

    stimuli = tuple(Stimulus(name, path, *size_of(path)) for name, path in paths.items())
    index = {name: i for i, name in enumerate(paths)}
    dropped: dict[str, int] = {}
    notes = []
    if settings.drop_first and rows[0][5] is not None:
        kept = [row for row in rows if row[5] != 0]
        dropped["first of a trial"] = len(rows) - len(kept)
        if len(kept) == len(rows):
            notes.append(f"{table}: no fixation has order 0, so none was dropped as the first of its trial")
        rows = kept
    x, y = np.array([row[2] for row in rows]), np.array([row[3] for row in rows])
    fixations, outside = sorted_fixations(
        stimuli, np.array([index[row[1]] for row in rows], dtype=np.int64), x, y, _subjects([row[4] for row in rows])
    )
    dropped["outside the image"] = outside
    if not len(fixations.x):
        counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise DataError(f"{table}: no fixation is left ({counts}). drop_first=false keeps the first of each trial.")
    empty = len(stimuli) - len(np.unique(fixations.image))
    if empty:
        notes.append(f"{settings.root}: {empty} of {len(stimuli)} images have no fixation")
    return DataSet(settings.name, stimuli, fixations, dropped, tuple(notes))


def _rows(table: Path) -> Iterator[tuple[int, str, float, float, str | None, float | None]]:
    """(line, image, x, y, subject, order) of each row; subject and order are None where the column is missing."""
    with open(table, newline="", encoding="utf-8-sig") as file:  # -sig: spreadsheets write a byte order mark
        reader = csv.reader(file, skipinitialspace=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            absent = [name for name in REQUIRED if name not in header]
            if absent:
                raise DataError(
                    f"{table} has no column {', '.join(absent)}: its first line is {','.join(header)!r}, "
                    f"wanted are the columns {','.join(REQUIRED)} and, where known, subject,order, separated by commas"
                )
            image, x, y = (header.index(name) for name in REQUIRED)
            subject, order = (header.index(name) if name in header else None for name in ("subject", "order"))
            numbers = [i for i in (x, y, order) if i is not None]
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise DataError(f"{table}, line {reader.line_num}: {len(row)} values, the header has {len(header)}")
                values = {i: _number(row[i], header[i], table, reader.line_num) for i in numbers}
                yield (reader.line_num, row[image], values[x], values[y],
                       None if subject is None else row[subject], None if order is None else values[order])
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{table}, after line {reader.line_num}: not a CSV file in UTF-8: {error}") from error


def _number(text: str, column: str, table: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{table}, line {line}: {column} is {text!r}, not a finite number; leave out such rows")
    return value


def _subjects(names: list[str | None]) -> np.ndarray | None:
    known = [name for name in names if name is not None]
    if not known:
        return None
    index = {name: i for i, name in enumerate(sorted(set(known), key=lambda name: (natural_order(name), name)))}
    return np.array([index[name] for name in known])


def _missing(settings: Settings, what: str) -> DataError:
    return DataError(
        f"The data set {settings.name} is not at {settings.root or 'any place (root is not set)'}: {what}.\n"
        "  have it elsewhere   data.root=PATH (ood.root=PATH where it is the out-of-domain set)\n"
        "  do not have it      put images into stimuli/ and image,x,y (and subject,order) into fixations.csv there;\n"
        "                      conf/data/ says where the published sets are to be had\n"
        "  just want to look   data=synthetic needs none (data@ood=synthetic_ood out of domain)"
    )
