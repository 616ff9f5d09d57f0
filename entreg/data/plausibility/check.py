"""All checks of a data set, as findings, and as the error that refuses what was not accepted."""

from __future__ import annotations

import dataclasses

import numpy as np

from entreg.config import Data
from entreg.data.dataset import DataSet
from entreg.data.images import orientation_of
from entreg.data.plausibility import maps_and_samples, small_coordinates, wrong_frames
from entreg.data.plausibility.drawing import drawn
from entreg.data.plausibility.finding import Finding
from entreg.data.plausibility.points import Points, points_of
from entreg.data.plausibility.repeated_points import at_one_place
from entreg.errors import DataError

QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
ENOUGH = 100  # whole numbers, so that their not being 0 says something


def findings(dataset: DataSet) -> list[Finding]:
    """Return everything that is implausible about a data set. Headers of image files are read for their orientation."""
    points = points_of(dataset)
    if not len(points):
        return []
    blurred = maps_and_samples.blurred_maps(dataset)
    if blurred:
        return [blurred]
    found, rest = at_one_place(points)
    elsewhere = points[rest]
    more = (_wrong_frame(dataset, elsewhere) if len(elsewhere) else None, maps_and_samples.samples(dataset))
    return [*found, *(finding for finding in more if finding)]


def in_words(dataset: DataSet, settings: Data) -> list[str]:
    """Return what is implausible about a data set and what mends it, a text for each finding."""
    return [f"{finding.message}. To mend it: {finding.way_out(settings)}" for finding in findings(dataset)]


def checked(dataset: DataSet, settings: Data) -> DataSet:
    """Return the data set with notes on what is doubtful and with what `settings.accept` let pass.

    Raises a DataError that lists what is implausible and not accepted, with where the points lie and what to type.
    """
    found = findings(dataset)
    refused = [finding for finding in found if finding.kind not in settings.accept]
    if refused:
        raise DataError(_refusal(dataset, settings, refused, sorted({finding.kind for finding in found})))
    accepted = tuple(finding.kind for finding in found)
    notes = [f"accepted ({finding.kind}): {finding.message}" for finding in found]
    return dataclasses.replace(dataset, notes=(*dataset.notes, *notes, *_notes(dataset, settings)), accepted=accepted)


def _wrong_frame(dataset: DataSet, points: Points) -> Finding | None:
    small = small_coordinates.small_numbers(points)
    if small or not points.outside().any():
        return small
    turned = np.isin(_orientations(dataset), QUARTER_TURNS)
    return wrong_frames.wrong_frame(points, turned[points.image])


def _refusal(dataset: DataSet, settings: Data, refused: list[Finding], kinds: list[str]) -> str:
    points, accept = points_of(dataset), f"accept=[{','.join(kinds)}]"
    lines = [f"The data set {settings.name} at {settings.root} is implausible."]
    for finding in refused:
        lines += [f"  {finding.message}", f"    to mend it          {finding.way_out(settings)}"]
    lines += [
        f"  where the {len(points)} points lie, in percent (the box is the image)",
        drawn(points),
        f"  to use it as it is  data.{accept} (ood.{settings.name}.{accept} where it is a foreign set)",
    ]
    return "\n".join(lines)


def _notes(dataset: DataSet, settings: Data) -> list[str]:
    """Return what is doubtful, but no reason to refuse the data set."""
    points, notes = points_of(dataset), []
    if _seem_to_count_from_one(points):
        way_out = "data.frame.index_base=1" if hasattr(settings, "frame") else "subtract 1"
        notes.append(f"x and y are whole numbers and none is 0; if they count from 1 (MATLAB), {way_out}")
    turned = [
        s.name for s, orientation in zip(dataset.stimuli, _orientations(dataset), strict=True) if orientation != 1
    ]
    if turned:
        notes.append(
            f"{len(turned)} images have an EXIF orientation ({turned[0]}), which is ignored: x and y count in the "
            "pixels as stored"
        )
    return notes


def _seem_to_count_from_one(points: Points) -> bool:
    values = np.concatenate([points.x, points.y])
    return len(values) >= ENOUGH and bool((values == np.floor(values)).all() and (values >= 1).all())


def _orientations(dataset: DataSet) -> np.ndarray:
    """Return the EXIF orientation of each stimulus."""
    return np.array([orientation_of(stimulus.path) for stimulus in dataset.stimuli])
