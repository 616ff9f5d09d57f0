"""The settings of what a prediction writes."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class Predicting:
    """As images of which set task=predict predicts, and what it writes for each in addition to its log density."""

    set: str | None = setting(
        None,
        "set that the run learned from, whose centre bias and own numbers (model.per_set) are used; null: those of the "
        "average set, and the centre bias of all sets",
        affects="result",
    )
    pictures: bool = setting(True, "write the density as a picture, alone and over the photo", affects="evaluation")
    hdf5: bool = setting(
        False,
        "also write all log densities to one HDF5 file, which pysaliency and the MIT/Tuebingen benchmark read",
        affects="evaluation",
    )
