"""CAT2000's training set with its observers told apart, from the file allFixData.mat in its own archive.

The file's `allData` is a MATLAB containers.Map from a stimulus's path (Action/001.jpg) to a cell of structs, one for
each observer: `name` (24-53-ak.eye, the last part being the observer) and `data`, a row for each fixation that begins
with x and y, counted from 1. Sources: load_cat2000.m and cat2000.py of pysaliency's external_datasets/, whose version
1.1 is followed here: 1 is subtracted, and a fixation that repeats the one before it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from entreg.config import PublishedData
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.images import size_of
from entreg.errors import DataError, UserError, brief

FILE, STIMULI, ARCHIVE = "allFixData.mat", "Stimuli", "trainSet"


@dataclass
class Settings(PublishedData):
    """Stimuli/ and allFixData.mat in the folder `root`, or in its folder trainSet."""

    def require(self) -> None:
        """DataError where the stimuli or the observers' file are missing."""
        for name in (STIMULI, FILE):
            if not (self.root and (self.base / name).exists()):
                raise DataError(
                    f"The data set {self.name} is not at {self.root}: no {ARCHIVE}/{name} or {name} there.\n"
                    "  have it elsewhere   data.root=PATH (ood.NAME.root=PATH where it is out of domain)\n"
                    f"  do not have it      task=prepare downloads it; by hand: unpack it there: "
                    f"{self.published_at or 'see the top of its file in conf/data/'}\n"
                    "  just want to look   data=synthetic needs none"
                )

    @property
    def base(self) -> Path:
        """The folder that holds both."""
        root = Path(self.root or "")
        return root / ARCHIVE if (root / ARCHIVE).is_dir() else root


def load(settings: Settings) -> DataSet:
    """The stimuli in natural order of their names, with their fixations by observer; the first of a trial counts.

    Stimuli that the file names and that are not there are left out, with a note. DataError: a file cannot be read or is
    of another form. UserError: what reads it is not installed.
    """
    settings.require()
    path = settings.base / FILE
    everybody = _read(path, settings)
    for name in everybody:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{path}: allData: {brief(repr(name))} is no path below {STIMULI}/; {_anew(settings)}")
    places = {name: settings.base / STIMULI / name for name in everybody}
    names = sorted(
        (name for name, place in places.items() if place.is_file()), key=lambda name: (natural_order(name), name)
    )
    if not names:
        raise DataError(f"{path}: none of its stimuli is in {settings.base / STIMULI}; {_anew(settings)}")
    stimuli = tuple(Stimulus(name, places[name], *size_of(places[name]), places[name].parent.name) for name in names)
    rows: list[tuple[int, str, np.ndarray]] = []
    outside = repeated = 0
    for i, stimulus in enumerate(stimuli):
        for observer, yx in everybody[stimulus.name]:
            with np.errstate(invalid="ignore"):  # what is not a number is nowhere
                inside = ((yx >= 0) & (yx < (stimulus.height_px, stimulus.width_px))).all(1)
            kept = yx[inside]
            again = np.zeros(len(kept), dtype=bool)
            again[1:] = (kept[1:] == kept[:-1]).all(1)
            outside, repeated = outside + int((~inside).sum()), repeated + int(again.sum())
            rows.append((i, observer, kept[~again]))
    counts = [len(yx) for _, _, yx in rows]
    observers = np.unique([observer for _, observer, _ in rows], return_inverse=True)[1]
    y, x = np.concatenate([yx for _, _, yx in rows]).T
    fixations, _ = sorted_fixations(
        stimuli, np.repeat([i for i, _, _ in rows], counts), x, y, np.repeat(observers, counts)
    )
    notes = (
        ()
        if len(names) == len(everybody) == (settings.expected_images or len(names))
        else (
            f"{settings.root} is not the published set: {len(names)} stimuli are there of {len(everybody)} in {FILE} and "
            f"{settings.expected_images} published ones",
        )
    )
    return DataSet(settings.name, stimuli, fixations, {"outside the image": outside, "repeated": repeated}, notes)


def _read(path: Path, settings: Settings) -> dict[str, list[tuple[str, np.ndarray]]]:
    """By stimulus, each observer's fixations: (n, 2) y and x in pixels counted from 0."""
    try:
        from matio import load_from_mat
    except ImportError as error:
        raise UserError(
            f"{path} holds a MATLAB containers.Map, which takes the package mat-io to read: pip install mat-io "
            "(Python 3.11 or newer). Without observers: data=cat2000"
        ) from error
    try:
        everything = load_from_mat(str(path))["allData"]
        return {str(name): [_observed(one) for one in _structs(everything[name])] for name in everything}
    except Exception as error:  # a damaged file raises whatever the reader stumbles over
        reason = brief(f"{type(error).__name__} {error}")
        raise DataError(f"{path}: allData cannot be read: {reason}; {_anew(settings)}") from error


def _anew(settings: Settings) -> str:
    return f"get {FILE} anew" + (f" ({settings.published_at})" if settings.published_at else "")


def _structs(cell: Any) -> Iterator[Any]:
    """The structs in a cell, however deep the reader has wrapped them."""
    values = np.asarray(cell)
    if values.dtype.names:
        yield from values.reshape(-1)
    elif values.dtype == object:
        for one in values.reshape(-1):
            yield from _structs(one)
    elif values.size:
        raise ValueError(f"an array of {values.dtype} where an observer's struct is wanted")


def _observed(struct: Any) -> tuple[str, np.ndarray]:
    name, data = str(np.asarray(struct["name"]).reshape(-1)[0]), np.asarray(struct["data"], dtype=np.float64)
    if data.size and (data.ndim != 2 or data.shape[1] < 2):
        raise ValueError(f"the fixations of {name} have the shape {data.shape}")
    return name.split(".eye")[0].rpartition("-")[2], data.reshape(-1, data.shape[-1] if data.size else 2)[:, 1::-1] - 1
