"""Data sets that a script gave in memory (`entreg.train(..., data=...)`), as it has written them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entreg.config import Data
from entreg.config.settings import setting
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.images import size_of
from entreg.data.memory_data import FIXATIONS, FORMAT, STIMULI
from entreg.errors import DataError, brief
from entreg.io import arrays


@dataclass
class Settings(Data):
    """What was written of a data set in memory, in the folder `root`."""

    drop_first: bool = setting(
        True, "leave out the first fixation of each trial (order 0), where the order is known", affects="result"
    )

    def require(self) -> None:
        """Raise a DataError where the folder is gone."""
        if not (self.root and (Path(self.root) / FIXATIONS).is_file()):
            raise DataError(
                f"The data set {self.name} was given in memory, and what was written of it is not at "
                f"{self.root or 'any place (root is not set)'}.\n"
                "  give it again       entreg.train(..., data=DATA) or entreg.evaluate(..., data=[DATA])\n"
                "  just want to look   data=synthetic needs none"
            )


def load(settings: Settings) -> DataSet:
    """Return the images in natural order of their names, and the fixations. Images without fixations are kept.

    Raises a DataError where a file is missing or damaged.
    """
    settings.require()
    root = Path(settings.root or "")
    try:
        columns = arrays.read(root / FIXATIONS, FORMAT)
    except Exception as error:  # the reader raises errors of many kinds for a damaged file
        raise DataError(
            f"{root / FIXATIONS}: damaged ({brief(error)}); remove the folder, and give the same data again"
        ) from error
    names = columns["names"].tolist()
    in_order = sorted(names, key=lambda name: (natural_order(name), name))
    stimuli = tuple(Stimulus(name, root / STIMULI / name, *size_of(root / STIMULI / name)) for name in in_order)
    place_of = {name: place for place, name in enumerate(in_order)}
    position = np.array([place_of[name] for name in names])
    order, dropped = columns.get("order"), {}
    used = np.ones(len(columns["x"]), dtype=bool)
    if settings.drop_first and order is not None:
        used = order > 0
        dropped["first of a trial"] = int((~used).sum())
    image, x, y = position[columns["image"][used]], columns["x"][used], columns["y"][used]
    subject, order = (columns[key][used] if key in columns else None for key in ("subject", "order"))
    fixations, outside = sorted_fixations(stimuli, image, x, y, subject, order)
    dropped["outside the image"] = len(outside)
    return DataSet(settings.name, stimuli, fixations, dropped, outside=outside)
