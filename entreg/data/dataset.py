"""Data sets: stimuli, and the fixations that people made on them, in pixels of the stored images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Stimulus:
    """A stored image. Its size is that of the stored pixels, without an EXIF orientation, which fixations ignore."""

    name: str
    path: Path
    height_px: int
    width_px: int
    category: str | None = None


@dataclass(frozen=True)
class Fixations:
    """Fixations as flat arrays (n,), sorted by image.

    image: index of the stimulus
    x, y: pixels of the stored image, origin top left
    subject: index of the person; None where the data set does not record it
    order, duration_ms: position in the trial, from 0, and how long it lasted; None where they are not recorded or not
        needed any longer
    """

    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    subject: np.ndarray | None = None
    order: np.ndarray | None = None
    duration_ms: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice | np.ndarray) -> Fixations:
        """Return some of the fixations: a slice, indices or a mask."""
        recorded = (
            values if values is None else values[rows] for values in (self.subject, self.order, self.duration_ms)
        )
        return Fixations(self.image[rows], self.x[rows], self.y[rows], *recorded)

    @property
    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """The pixels that the fixations lie on: (y, x), int64."""
        return np.floor(self.y).astype(np.int64), np.floor(self.x).astype(np.int64)


def _none() -> Fixations:
    return Fixations(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class DataSet:
    """All stimuli of a data set, in natural order of their names, and their fixations.

    dropped: the number of fixations that were left out on loading, by reason
    notes: warnings about the data set, for example that the copy is incomplete
    outside: the fixations outside their images, which are dropped; they show whether x and y count as they should
    from_maps: whether each fixation is a pixel of a map
    accepted: the kinds of what is implausible about the set and was let pass by `accept`
    """

    name: str
    stimuli: tuple[Stimulus, ...]
    fixations: Fixations
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()
    outside: Fixations = field(default_factory=_none)
    from_maps: bool = False
    accepted: tuple[str, ...] = ()

    @property
    def rows_read(self) -> int:
        """The number of fixations that were read: those used and those dropped."""
        return len(self.fixations) + sum(self.dropped.values())

    def dropped_in_words(self) -> str:
        """Return the number of dropped fixations by reason."""
        return ", ".join(f"{count} {reason}" for reason, count in self.dropped.items()) or "none"

    def summary(self) -> str:
        """Return one line with the numbers of images, fixations and dropped fixations."""
        return (
            f"{self.name}: {len(self.stimuli)} images, {len(self.fixations)} fixations of {self.rows_read} read; "
            f"dropped fixations: {self.dropped_in_words()}"
        )


def natural_order(name: str) -> list[int | str]:
    """Return a sort key that orders i2 before i10, as pysaliency orders MIT1003."""
    # Python converts numbers of at most 4300 digits
    return [int(part[:4000]) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)]


def sides_px(stimuli: Sequence[Stimulus]) -> tuple[np.ndarray, np.ndarray]:
    """Return the widths and heights of stored images: (n,) int64 each."""
    width, height = (np.array([getattr(s, f"{side}_px") for s in stimuli], np.int64) for side in ("width", "height"))
    return width, height


def inside(x: np.ndarray, y: np.ndarray, width: np.ndarray | int, height: np.ndarray | int) -> np.ndarray:
    """Return which places lie on a pixel of an image of this size: (n,) bool. NaN lies on none."""
    within: np.ndarray = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return within


def sorted_fixations(
    stimuli: tuple[Stimulus, ...],
    image: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    subject: np.ndarray | None,
    order: np.ndarray | None = None,
    duration_ms: np.ndarray | None = None,
) -> tuple[Fixations, Fixations]:
    """Return the fixations inside their images and those outside, both sorted by image.

    Within an image they keep their order. See `Fixations` for the arguments.
    """
    image = np.asarray(image, dtype=np.int64)
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    widths, heights = sides_px(stimuli)
    on_image = inside(x, y, widths[image], heights[image])
    by_image = np.argsort(image, kind="stable")
    recorded = (values if values is None else np.asarray(values) for values in (subject, order, duration_ms))
    fixations = Fixations(image, x, y, *recorded)
    return fixations[by_image[on_image[by_image]]], fixations[by_image[~on_image[by_image]]]
