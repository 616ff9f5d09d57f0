"""A look at a data set as it is stored: how much there is, some of its images, and where its fixations lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entreg.config import Data, Prior
from entreg.data import splits
from entreg.data.dataset import DataSet, Fixations, sides_px
from entreg.io import files
from entreg.priors.kde import FixationKde

MOST, FEWEST, OUTSIDE, AT_RANDOM = (
    "most fixations",
    "fewest fixations",
    "most fixations outside the image",
    "drawn at random",
)
EXAMPLES = {OUTSIDE: 4, MOST: 4, FEWEST: 4, AT_RANDOM: 8}  # images of each kind
MAP_SIZE = (144, 192)  # of the centre bias; it is in shares of each image's sides


@dataclass(frozen=True)
class Look:
    """What there is to see of a data set.

    images: indices of the stimuli that the settings choose, ascending; counts: the fixations on each of these, (n,)
    fixations: those on them; `image` is the index of the stimulus
    examples: index of a stimulus and why it is shown, in the order in which they are shown
    center_bias: the KDE of the fixations, (h, w) nats
    implausible: what is implausible about the set and what mends it, a text for each finding, where it was looked for
    """

    dataset: DataSet
    images: np.ndarray
    counts: np.ndarray
    fixations: Fixations
    examples: dict[int, str]
    center_bias: np.ndarray
    implausible: tuple[str, ...] = ()

    @property
    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """The fixations' x and y as shares of their image's width and height: (n,) each, 0..1."""
        return _shares(self.dataset, self.fixations)

    @property
    def by_person(self) -> np.ndarray | None:
        """The number of fixations of each person who made any, in descending order; None where nobody is known."""
        if self.fixations.subject is None:
            return None
        return np.sort(np.unique(self.fixations.subject, return_counts=True)[1])[::-1]

    def of(self, image: int) -> Fixations:
        """Return the fixations on a stimulus."""
        return self.fixations[self.fixations.image == image]

    def outside(self, image: int) -> Fixations:
        """Return those that lie outside a stimulus, and were dropped."""
        return self.dataset.outside[self.dataset.outside.image == image]


def look_at(dataset: DataSet, settings: Data, prior: Prior, seed: int) -> Look:
    """Look at the images of a data set that its settings choose (sample, limit), however implausible it is.

    seed: that of the images that are drawn at random
    """
    images = splits.chosen(len(dataset.stimuli), settings)
    fixations = dataset.fixations
    if len(images) < len(dataset.stimuli):  # millions of fixations are not copied where all are chosen
        fixations = fixations[np.isin(fixations.image, images)]
    counts, outside = (
        np.bincount(some.image, minlength=len(dataset.stimuli))[images] for some in (fixations, dataset.outside)
    )
    kde = FixationKde(
        *_shares(dataset, fixations)[::-1], fixations.image, prior.kde_bandwidth, prior.kde_regularisation
    )
    examples = _examples(images, counts, outside, seed)
    return Look(dataset, images, counts, fixations, examples, kde.log_density(*MAP_SIZE))


def is_first_look(store: Path, fingerprint: str) -> bool:
    """Note that this data set has been looked at, or that somebody was told how; return whether it had not been.

    fingerprint: that of the images that are used and the fixations on them, see `ImageSubset.fingerprint`
    """
    path = store / "looked_at" / fingerprint
    files.remove_temporary_of(path, stale=True)
    return files.create(path, "")


def _examples(images: np.ndarray, counts: np.ndarray, outside: np.ndarray, seed: int) -> dict[int, str]:
    """Return the images to show and why; each is shown once.

    counts, outside: the numbers of fixations on and outside each image
    """
    ascending = images[np.argsort(counts, kind="stable")]
    order = {
        OUTSIDE: images[np.argsort(-outside, kind="stable")][: np.count_nonzero(outside)],
        MOST: ascending[::-1],
        FEWEST: ascending,
        AT_RANDOM: np.random.default_rng(seed).permutation(images),
    }
    examples: dict[int, str] = {}
    for why, number in EXAMPLES.items():
        left = [int(image) for image in order[why] if int(image) not in examples]
        examples |= dict.fromkeys(left[:number], why)
    return examples


def _shares(dataset: DataSet, fixations: Fixations) -> tuple[np.ndarray, np.ndarray]:
    widths, heights = sides_px(dataset.stimuli)
    return fixations.x / widths[fixations.image], fixations.y / heights[fixations.image]
