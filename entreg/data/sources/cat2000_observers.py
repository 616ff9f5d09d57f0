"""CAT2000's training set with separate observers, from the file allFixData.mat in its archive.

The file's `allData` is a MATLAB containers.Map from a stimulus's path (Action/001.jpg) to a cell of structs, one for
each observer: `name` (24-53-ak.eye, whose last part is the observer) and `data`, with one row per fixation that begins
with x and y, counted from 1. Sources: load_cat2000.m and cat2000.py of pysaliency's external_datasets/. As in their
version 1.1, 1 is subtracted, and a fixation that repeats the previous one is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from entreg.config import PublishedData
from entreg.data.dataset import DataSet, Stimulus, inside, natural_order, sorted_fixations
from entreg.data.images import size_of
from entreg.errors import DataError, UserError, brief

FILE, STIMULI, ARCHIVE = "allFixData.mat", "Stimuli", "trainSet"


@dataclass
class Settings(PublishedData):
    """Stimuli/ and allFixData.mat in the folder `root`, or in its folder trainSet."""

    def require(self) -> None:
        """Raise a DataError where the stimuli or the file of fixations are missing."""
        for name in (STIMULI, FILE):
            if not (self.root and (self.base / name).exists()):
                raise DataError(
                    f"The data set {self.name} is not at {self.root}: {ARCHIVE}/{name} and {name} are missing.\n"
                    "  have it elsewhere   data.root=PATH (ood.NAME.root=PATH where it is out of domain)\n"
                    f"  do not have it      task=prepare downloads it; by hand: unpack it there: "
                    f"{self.published_at or 'see the top of its file in conf/data/'}\n"
                    "  just want to look   data=synthetic needs none"
                )

    @property
    def base(self) -> Path:
        """The folder that contains both."""
        root = Path(self.root or "")
        return root / ARCHIVE if (root / ARCHIVE).is_dir() else root


def load(settings: Settings) -> DataSet:
    """Return the stimuli in natural order of their names, with their fixations by observer.

    The first fixation of a trial is included. Stimuli that the file names but that do not exist are left out, with a
    note. Raises a DataError where a file cannot be read or is malformed, and a UserError where its reader is not
    installed.
    """
    settings.require()
    path = settings.base / FILE
    everybody = _read(path, settings)
    for name in everybody:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{path}: allData: {brief(repr(name))} is not a path below {STIMULI}/; {_again(settings)}")
    places = {name: settings.base / STIMULI / name for name in everybody}
    names = sorted(
        (name for name, place in places.items() if place.is_file()), key=lambda name: (natural_order(name), name)
    )
    if not names:
        raise DataError(f"{path}: none of its stimuli is in {settings.base / STIMULI}; {_again(settings)}")
    stimuli = tuple(Stimulus(name, places[name], *size_of(places[name]), places[name].parent.name) for name in names)
    rows: list[tuple[int, str, np.ndarray]] = []
    repeated = 0
    for i, stimulus in enumerate(stimuli):
        for observer, yx in everybody[stimulus.name]:
            with np.errstate(invalid="ignore"):  # NaN is outside
                on_image = inside(yx[:, 1], yx[:, 0], stimulus.width_px, stimulus.height_px)
            points = yx[on_image]
            repeats = np.zeros(len(points), dtype=bool)
            repeats[1:] = (points[1:] == points[:-1]).all(1)
            repeated += int(repeats.sum())
            rows.append((i, observer, np.concatenate([points[~repeats], yx[~on_image]])))
    counts = [len(yx) for _, _, yx in rows]
    observers = np.unique([observer for _, observer, _ in rows], return_inverse=True)[1]
    y, x = np.concatenate([yx for _, _, yx in rows]).T
    fixations, outside = sorted_fixations(
        stimuli, np.repeat([i for i, _, _ in rows], counts), x, y, np.repeat(observers, counts)
    )
    notes = (
        ()
        if len(names) == len(everybody) == (settings.expected_images or len(names))
        else (
            f"{settings.root} is not the published set: {len(names)} stimuli exist, {FILE} names {len(everybody)}, and "
            f"{settings.expected_images} were published",
        )
    )
    dropped = {"outside the image": len(outside), "repeated": repeated}
    return DataSet(settings.name, stimuli, fixations, dropped, notes, outside)


def _read(path: Path, settings: Settings) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Return, for each stimulus, the name and the fixations of each observer: (n, 2) y and x in pixels from 0."""
    try:
        from matio import load_from_mat
    except ImportError as error:
        raise UserError(
            f"{path} holds a MATLAB containers.Map, which only the package mat-io can read: pip install mat-io "
            "(Python 3.11 or newer). Without observers: data=cat2000"
        ) from error
    try:
        everything = load_from_mat(str(path))["allData"]
        return {str(name): [_observed(struct) for struct in _structs(everything[name])] for name in everything}
    except Exception as error:  # the reader raises errors of many kinds for a damaged file
        reason = brief(f"{type(error).__name__} {error}")
        raise DataError(f"{path}: allData cannot be read: {reason}; {_again(settings)}") from error


def _again(settings: Settings) -> str:
    return f"get {FILE} again" + (f" ({settings.published_at})" if settings.published_at else "")


def _structs(cell: Any) -> Iterator[Any]:
    """Yield the structs in a cell, however deep the reader has wrapped them."""
    values = np.asarray(cell)
    if values.dtype.names:
        yield from values.reshape(-1)
    elif values.dtype == object:
        for inner in values.reshape(-1):
            yield from _structs(inner)
    elif values.size:
        raise ValueError(f"an array of {values.dtype} in place of an observer's struct")


def _observed(struct: Any) -> tuple[str, np.ndarray]:
    name, data = str(np.asarray(struct["name"]).reshape(-1)[0]), np.asarray(struct["data"], dtype=np.float64)
    if data.size and (data.ndim != 2 or data.shape[1] < 2):
        raise ValueError(f"the fixations of {name} have the shape {data.shape}")
    return name.partition(".eye")[0].rpartition("-")[2], data.reshape(-1, data.shape[-1] if data.size else 2)[
        :, 1::-1
    ] - 1
