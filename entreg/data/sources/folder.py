"""The users' own data sets: images in stimuli/, and fixations.csv beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from entreg.config.settings import setting
from entreg.config.tables import TableData
from entreg.data.dataset import DataSet, natural_order, sorted_fixations
from entreg.data.tables import presets
from entreg.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Settings(TableData):
    """stimuli/ in the folder `root`, and a table of fixations (image, x, y and optionally subject and order)."""

    drop_first: bool = setting(
        True, "leave out the first fixation of each trial (order 0), where the order is known", affects="result"
    )

    def require(self) -> None:
        """Raise a DataError where stimuli/ or the table is missing, and a SettingError where its preset is."""
        from entreg.data import fixation_table  # imports pandas, which other sources need not wait for

        if not (self.root and self.pictures.is_dir()):
            raise _missing(self, "no folder stimuli there")
        if not fixation_table.files(self):
            raise _missing(self, f"no {self.file} there")
        presets.forms(self)

    @property
    def pictures(self) -> Path:
        """The folder of the stimuli."""
        return Path(self.root or "") / "stimuli"


def load(settings: Settings) -> DataSet:
    """Return all images below stimuli/ and the fixations in the table, `fixations.csv`.

    Its columns are image, the path below stimuli/; x and y, pixels of the stored image with the origin at the top left;
    optionally subject, any name, and order, the position in the trial, from 0. Other columns are ignored, and other
    tables need settings (`entreg/config/tables.py`). Images without a fixation are kept, and so are rows that repeat a
    position of a trial; notes mention both.

    Raises a DataError where a file or column is missing, or a row is malformed or names an image that does not exist
    (with its line).
    """
    from entreg.data import recording

    settings.require()
    recorded = recording.read(settings, settings.pictures, with_times=True)
    rows, dropped, notes, where = recorded.fixations, dict(recorded.dropped), list(recorded.notes), recorded.source
    if recorded.repeated:
        notes.append(f"{where}: {recorded.repeated} rows repeat the image, subject and order of another; all are used")
    if settings.drop_first and "order" in rows:
        first = (rows["order"] == 0).to_numpy()
        dropped["first of a trial"] = int(first.sum())
        if first.any():
            rows = rows[~first]
        else:
            notes.append(f"{where}: no fixation has order 0, so none was left out as the first of its trial")
    subject = _numbers(rows["subject"]) if "subject" in rows else None
    image, x, y = (rows[name].to_numpy() for name in ("image", "x", "y"))
    order, duration_ms = (rows[name].to_numpy() if name in rows else None for name in ("order", "duration"))
    fixations, outside = sorted_fixations(recorded.stimuli, image, x, y, subject, order, duration_ms)
    dropped["outside the image"] = len(outside)
    empty = len(recorded.stimuli) - len(np.unique(fixations.image))
    if empty:
        notes.append(f"{settings.root}: {empty} of {len(recorded.stimuli)} images have no fixation")
    notes += settings.differences(len(recorded.stimuli), len(fixations.x))
    return DataSet(settings.name, recorded.stimuli, fixations, dropped, tuple(notes), outside)


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
