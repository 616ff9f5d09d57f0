"""The file of a run's centre bias, which lets the run predict without its data set.

For a KDE the file holds the training fixations as shares of their images' sides, for a Gaussian its parameters. Those
of several sets stand there set after set, with the sets' names and numbers of fixations.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from entreg.config import Prior
from entreg.errors import DataError, brief
from entreg.io import arrays, files
from entreg.priors.center_bias import CenterBias
from entreg.priors.kde import FixationKde

FORMAT = 1  # of the file's content; raise it when an earlier version would read the new content wrongly
NUMBERS = tuple(field.name for field in dataclasses.fields(Prior))


def write(path: Path, center_bias: CenterBias) -> None:
    """Write the centre bias. `read` returns the same maps to the bit."""
    content = {"format": np.array(FORMAT), "kind": np.array(center_bias.kind)}
    content |= {name: np.array(getattr(center_bias.prior, name)) for name in NUMBERS}
    if center_bias.kde is not None:
        content |= dict(zip("yx", center_bias.kde.fixations[:2], strict=True), image=center_bias.kde.fixations[2])
    if center_bias.of_sets:  # of which `kde` is made, in this order
        counts = [len(kde.fixations[2]) for kde in center_bias.of_sets.values()]
        content |= {"sets": np.array([*center_bias.of_sets]), "fixations": np.array(counts)}
    arrays.write(path, content)


def read(path: Path, kind: str, map_factor: int) -> CenterBias:
    """Return the centre bias that `write` wrote; kind: the kind in the run's config.

    Raises a DataError that names the file where it is damaged or has another kind.
    """
    try:
        content = arrays.read(path, FORMAT)
        if str(content["kind"]) != kind:
            raise ValueError(f"its kind is {content['kind']}, and the run was trained with {kind}")
        prior = Prior(**{name: _positive(content, name) for name in NUMBERS})
        if kind != "kde":
            return CenterBias(kind, prior, map_factor, None)
        return CenterBias(kind, prior, map_factor, _kde(content, prior), _of_sets(content, prior))
    except Exception as error:  # the reader raises errors of many kinds for a damaged file
        raise DataError(f"{path}: cannot be read as a run's centre bias: {brief(error)}; {files.WAY_OUT}") from error


def _kde(content: dict[str, np.ndarray], prior: Prior) -> FixationKde:
    y, x, image = (content[name] for name in ("y", "x", "image"))
    if not (y.ndim == 1 and len(y) > 0 and y.shape == x.shape == image.shape and image.dtype.kind == "i"):
        raise ValueError("its fixations are not lists of one length")
    if not all(axis.dtype == np.float64 and (axis >= 0).all() and (axis <= 1).all() for axis in (y, x)):
        raise ValueError("its fixations are not shares of an image's sides")
    return FixationKde(y, x, image, prior.kde_bandwidth, prior.kde_regularisation)


def _of_sets(content: dict[str, np.ndarray], prior: Prior) -> dict[str, FixationKde]:
    """Return the KDE of each of several sets."""
    names, counts = (content.get(name, np.zeros(0, int)) for name in ("sets", "fixations"))
    if names.shape != counts.shape or counts.sum() != (len(content["y"]) if len(names) else 0) or (counts < 0).any():
        raise ValueError("its sets are not those of its fixations")
    parts = (
        ({axis: np.split(content[axis], np.cumsum(counts)[:-1]) for axis in ("y", "x", "image")}) if len(names) else {}
    )
    return {
        str(name): _kde({axis: of_axis[number] for axis, of_axis in parts.items()}, prior)
        for number, name in enumerate(names)
    }


def _positive(content: dict[str, np.ndarray], name: str) -> float:
    value = float(content[name])
    if not 0 < value < np.inf:
        raise ValueError(f"{name} is {value}")
    return value
