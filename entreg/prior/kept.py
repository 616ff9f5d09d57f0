"""The centre bias that a run keeps in its folder, so that it can predict without its data set.

Of a KDE these are the training fixations as shares of their images' sides, of a Gaussian its formula's numbers.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from entreg import arrays, files
from entreg.config import Prior
from entreg.errors import DataError, brief
from entreg.prior.center_bias import CenterBias
from entreg.prior.kde import FixationKde

FORMAT = 1  # of what the file holds: to be raised when an earlier version would read it wrongly
NUMBERS = tuple(field.name for field in dataclasses.fields(Prior))


def write(path: Path, center_bias: CenterBias) -> None:
    """Keeps it, so that `read` gives the same maps, to the bit."""
    content = {"format": np.array(FORMAT), "kind": np.array(center_bias.kind)}
    content |= {name: np.array(getattr(center_bias.prior, name)) for name in NUMBERS}
    if center_bias.kde is not None:
        content |= dict(zip("yx", center_bias.kde.fixations[:2], strict=True), image=center_bias.kde.fixations[2])
    arrays.write(path, content)


def read(path: Path, kind: str, map_factor: int) -> CenterBias:
    """What `write` kept; kind: of the run's config. DataError names a file that is damaged or of another kind."""
    try:
        kept = arrays.read(path, FORMAT)
        if str(kept["kind"]) != kind:
            raise ValueError(f"it is of the kind {kept['kind']}, and the run was trained with {kind}")
        prior = Prior(**{name: _positive(kept, name) for name in NUMBERS})
        return CenterBias(kind, prior, map_factor, _kde(kept, prior) if kind == "kde" else None)
    except Exception as error:  # a damaged file raises whatever its reader stumbles over
        raise DataError(f"{path}: cannot be read as a run's centre bias: {brief(error)}; {files.WAY_OUT}") from error


def _kde(kept: dict[str, np.ndarray], prior: Prior) -> FixationKde:
    y, x, image = (kept[name] for name in ("y", "x", "image"))
    if not (y.ndim == 1 and len(y) > 0 and y.shape == x.shape == image.shape and image.dtype.kind == "i"):
        raise ValueError("its fixations are no lists of one length")
    if not all(axis.dtype == np.float64 and (axis >= 0).all() and (axis <= 1).all() for axis in (y, x)):
        raise ValueError("its fixations are no shares of an image's sides")
    return FixationKde(y, x, image, prior.kde_bandwidth, prior.kde_regularisation)


def _positive(kept: dict[str, np.ndarray], name: str) -> float:
    value = float(kept[name])
    if not 0 < value < np.inf:
        raise ValueError(f"{name} is {value}")
    return value
