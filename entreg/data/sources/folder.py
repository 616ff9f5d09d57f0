"""The users' own data sets: images in stimuli/, and fixations.csv beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from entreg.config import PublishedData
from entreg.config.settings import group, setting
from entreg.config.tables import TableText
from entreg.data import fixation_table
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.images import pictures_below, size_of
from entreg.errors import DataError
from entreg.io.safe_paths import refuse_link_out


@dataclass
class Settings(PublishedData):
    """stimuli/ and fixations.csv (image, x, y and optionally subject and order) in the folder `root`."""

    drop_first: bool = setting(
        True, "leave out the first fixation of each trial (order 0), where the order is known", affects="result"
    )
    text: TableText = group(TableText)

    def require(self) -> None:
        """Raise a DataError where stimuli/ or fixations.csv is missing."""
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
    """Return all images below stimuli/ and the fixations in fixations.csv.

    Its columns are image, the path below stimuli/; x and y, pixels of the stored image with the origin at the top left;
    optionally subject, any name, and order, the position in the trial, from 0. Other columns are ignored. Images
    without a fixation are kept, and so are rows that repeat a position of a trial; notes mention both.

    Raises a DataError where a file or column is missing, or a row is malformed or names an image that does not exist
    (with its line).
    """
    settings.require()
    table = fixation_table.read(settings.table, settings.text)
    if not table.rows_read:
        raise DataError(f"{settings.table} has no rows below its header; it needs one for each fixation")
    names = table.names()
    paths = pictures_below(settings.pictures, names)
    if not paths:
        raise _missing(settings, "no image in stimuli")
    for path in paths.values():
        refuse_link_out(path, settings.pictures)
    lost = [name for name in names if name not in paths]
    if lost:
        line = table.line_of(int(table.fixations.index[(table.fixations["image"] == lost[0]).argmax()]))
        raise DataError(
            f"{settings.table}, line {line}: there is no image {lost[0][:100]!r} in {settings.pictures} "
            f"({len(lost)} such name{'s' * (len(lost) > 1)}). The column image holds paths below stimuli/, with their "
            "extension"
        )

    stimuli = tuple(Stimulus(name, path, *size_of(path)) for name, path in paths.items())
    rows, dropped, notes = table.fixations, dict(table.dropped), []
    repeated = table.repeated()
    if repeated:
        notes.append(f"{settings.table}: {repeated} rows repeat the image, subject and order of another; all are used")
    if settings.drop_first and "order" in rows:
        first = (rows["order"] == 0).to_numpy()
        dropped["first of a trial"] = int(first.sum())
        if first.any():
            rows = rows[~first]
        else:
            notes.append(f"{settings.table}: no fixation has order 0, so none was left out as the first of its trial")
    index = {name: i for i, name in enumerate(paths)}
    image = np.array([index.get(name, -1) for name in rows["image"].cat.categories])[rows["image"].cat.codes]
    subject = _numbers(rows["subject"]) if "subject" in rows else None
    fixations, outside = sorted_fixations(stimuli, image, rows["x"].to_numpy(), rows["y"].to_numpy(), subject)
    dropped["outside the image"] = len(outside)
    empty = len(stimuli) - len(np.unique(fixations.image))
    if empty:
        notes.append(f"{settings.root}: {empty} of {len(stimuli)} images have no fixation")
    notes += settings.differences(len(stimuli), len(fixations.x))
    return DataSet(settings.name, stimuli, fixations, dropped, tuple(notes), outside)


def _numbers(people: pd.Series[Any]) -> np.ndarray:
    """Return the number of each row's person, the names being in natural order: (n,)."""
    people = people.cat.remove_unused_categories()
    names = [str(name) for name in people.cat.categories]
    ranks = np.empty(len(names), dtype=np.int64)
    ranks[sorted(range(len(names)), key=lambda i: (natural_order(names[i]), names[i]))] = np.arange(len(names))
    numbers: np.ndarray = ranks[people.cat.codes.to_numpy()]
    return numbers


def _missing(settings: Settings, what: str) -> DataError:
    return DataError(
        f"The data set {settings.name} is not at {settings.root or 'any place (root is not set)'}: {what}.\n"
        f"  have it elsewhere   data.root=PATH (ood.{settings.name}.root=PATH where it is a foreign set)\n"
        "  do not have it      put images into stimuli/ and image,x,y (and subject,order) into fixations.csv there;\n"
        "                      conf/data/ says where the published sets can be downloaded\n"
        "  just want to look   data=synthetic needs none (ood=[synthetic_ood] as the foreign set)"
    )
