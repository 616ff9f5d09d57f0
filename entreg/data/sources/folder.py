"""The users' own data sets: images in stimuli/, and fixations.csv beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entreg.config import PublishedData
from entreg.config.settings import setting
from entreg.data import fixation_table
from entreg.data.dataset import DataSet, Stimulus, sorted_fixations
from entreg.data.images import pictures_below, size_of
from entreg.errors import DataError
from entreg.io.safe_paths import refuse_link_out


@dataclass
class Settings(PublishedData):
    """stimuli/ and fixations.csv (image, x, y and optionally subject and order) in the folder `root`."""

    drop_first: bool = setting(
        True, "leave out the first fixation of each trial (order 0), where the order is known", affects="result"
    )

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
    rows = fixation_table.read(settings.table)
    if not len(rows):
        raise DataError(f"{settings.table} has no rows below its header; it needs one for each fixation")
    paths = pictures_below(settings.pictures, rows.names)
    if not paths:
        raise _missing(settings, "no image in stimuli")
    for path in paths.values():
        refuse_link_out(path, settings.pictures)
    lost = {name: line for name, line in rows.names.items() if name not in paths}
    if lost:
        (name, line), count = next(iter(lost.items())), len(lost)
        raise DataError(
            f"{settings.table}, line {line}: there is no image {name[:100]!r} in {settings.pictures} "
            f"({count} such name{'s' * (count > 1)}). The column image holds paths below stimuli/, with their extension"
        )

    stimuli = tuple(Stimulus(name, path, *size_of(path)) for name, path in paths.items())
    dropped: dict[str, int] = {}
    notes = []
    repeated = rows.repeated()
    if repeated:
        notes.append(f"{settings.table}: {repeated} rows repeat the image, subject and order of another; all are used")
    keep = np.ones(len(rows), dtype=bool)
    if settings.drop_first and rows.order is not None:
        keep = rows.order != 0
        dropped["first of a trial"] = int((~keep).sum())
        if keep.all():
            notes.append(f"{settings.table}: no fixation has order 0, so none was left out as the first of its trial")
    index = {name: i for i, name in enumerate(paths)}
    image = np.array([index[name] for name in rows.names])[rows.image[keep]]
    subject = None if rows.subject is None else np.unique(rows.subject[keep], return_inverse=True)[1]
    fixations, outside = sorted_fixations(stimuli, image, rows.x[keep], rows.y[keep], subject)
    dropped["outside the image"] = len(outside)
    empty = len(stimuli) - len(np.unique(fixations.image))
    if empty:
        notes.append(f"{settings.root}: {empty} of {len(stimuli)} images have no fixation")
    notes += settings.differences(len(stimuli), len(fixations.x))
    return DataSet(settings.name, stimuli, fixations, dropped, tuple(notes), outside)


def _missing(settings: Settings, what: str) -> DataError:
    return DataError(
        f"The data set {settings.name} is not at {settings.root or 'any place (root is not set)'}: {what}.\n"
        f"  have it elsewhere   data.root=PATH (ood.{settings.name}.root=PATH where it is a foreign set)\n"
        "  do not have it      put images into stimuli/ and image,x,y (and subject,order) into fixations.csv there;\n"
        "                      conf/data/ says where the published sets can be downloaded\n"
        "  just want to look   data=synthetic needs none (ood=[synthetic_ood] as the foreign set)"
    )
