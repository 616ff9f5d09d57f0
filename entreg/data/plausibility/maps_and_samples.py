"""Whether the points are fixations: not the pixels of blurred maps, and not samples of gaze or of a mouse."""

from __future__ import annotations

import numpy as np

from entreg.data.dataset import DataSet, sides_px
from entreg.data.plausibility.chance import more_than
from entreg.data.plausibility.finding import Finding

# Share of a map's fixated pixels that have a fixated neighbour: 0 in ETOCVD's maps, nearly 1 in blurred ones.
MOST_TOUCHING = 0.25
# Share of all pixels that are fixated: 0.01 % in maps of single pixels, 2 % and more in blurred ones.
MOST_FIXATED, FEWEST_FIXATED = 0.1, 100
# Fixations of one person on one image: at most 24 in OSIE, SCENE50 and CROWD100. A tracker takes 30 to 1000 samples in
# each second.
FEWEST_SAMPLES = 30
# Steps are measured in the range that holds 90 % of all points along each axis, whatever x and y count in. A step of
# 3 % is about half a degree, and MOST_STILL is the share of shorter ones: 3 to 8 % between fixations of these sets.
STILL, MOST_STILL = 0.03, 0.5


def blurred_maps(dataset: DataSet) -> Finding | None:
    """Return whether the pixels of maps touch each other, as those of blurred maps and of discs do."""
    n = len(dataset.fixations)
    if not (dataset.from_maps and n):
        return None
    widths, heights = sides_px(dataset.stimuli)
    share = n / float((heights * widths).sum())
    touching = int(_touching(dataset, heights, widths).sum())
    by_chance = 1 - (1 - share) ** 4
    if not more_than(min(1.0, MOST_TOUCHING + by_chance), touching, n) and not (
        share > MOST_FIXATED and n >= FEWEST_FIXATED
    ):
        return None
    return Finding(
        "blurred_maps",
        touching,
        n,
        f"{touching} of {n} fixated pixels touch another one, and {100 * share:.3g} % of all pixels are fixated: the "
        "maps seem to be blurred, or to mark a fixation by more than one pixel",
        "data.maps=PATTERN of the maps with one pixel for each fixation",
        "get the maps with one pixel for each fixation, or the fixations themselves",
    )


def samples(dataset: DataSet) -> Finding | None:
    """Return whether the many points of a person on an image hardly move from one to the next, as samples do.

    Where people are not told apart, their points are taken in the order of the file.
    """
    fixations = dataset.fixations
    if dataset.from_maps or len(fixations) < FEWEST_SAMPLES:
        return None
    subject = np.zeros(len(fixations), dtype=np.int64) if fixations.subject is None else fixations.subject
    ordered = fixations[np.lexsort((subject, fixations.image))]  # lexsort is stable
    subject = np.zeros(len(fixations), dtype=np.int64) if ordered.subject is None else ordered.subject
    new = (np.diff(ordered.image) != 0) | (np.diff(subject) != 0)
    lengths = np.diff(np.flatnonzero(np.concatenate([[True], new, [True]])))
    if np.median(lengths) < FEWEST_SAMPLES:
        return None
    range_x, range_y = (np.diff(np.quantile(axis, [0.05, 0.95]))[0] for axis in (ordered.x, ordered.y))
    still_x, still_y = np.abs(np.diff(ordered.x)) < STILL * range_x, np.abs(np.diff(ordered.y)) < STILL * range_y
    still, steps = int((still_x & still_y)[~new].sum()), int((~new).sum())
    if not more_than(MOST_STILL, still, steps):
        return None
    return Finding(
        "samples",
        still,
        steps,
        f"{still} of {steps} points hardly move from the one before, and there are {np.median(lengths):.0f} in a row: "
        "they seem to be samples of the gaze or of a mouse, not fixations",
        "",
        "detect fixations in the samples first",
    )


def _touching(dataset: DataSet, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Return which fixated pixels have a fixated pixel beside, above or below them: (n,)."""
    image = dataset.fixations.image
    rows, columns = dataset.fixations.pixels
    # one number for each pixel of all maps, with an empty column and two empty rows between them
    first = np.cumsum((heights + 2) * (widths + 1)) - (heights + 2) * (widths + 1)
    number = first[image] + (rows + 1) * (widths[image] + 1) + columns
    fixated = np.sort(number)

    def is_fixated(pixels: np.ndarray) -> np.ndarray:
        same: np.ndarray = fixated[np.minimum(np.searchsorted(fixated, pixels), len(fixated) - 1)] == pixels
        return same

    row = widths[image] + 1
    found: np.ndarray = (
        is_fixated(number - 1) | is_fixated(number + 1) | is_fixated(number - row) | is_fixated(number + row)
    )
    return found
