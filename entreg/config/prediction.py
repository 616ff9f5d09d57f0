"""The settings of what a prediction writes."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class Predicting:
    """What task=predict writes for each image in addition to its log density."""

    pictures: bool = setting(True, "write the density as a picture, alone and over the photo", affects="evaluation")
    hdf5: bool = setting(
        False,
        "also write all log densities to one HDF5 file, which pysaliency and the MIT/Tuebingen benchmark read",
        affects="evaluation",
    )
