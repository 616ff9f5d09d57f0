"""The data sets that a model learns from, and which of their training images it may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from entreg.config import Config, Data
from entreg.errors import SettingError


@dataclass(frozen=True)
class TrainingSets:
    """The data sets that a model learns from, in the order of their names.

    images: the number of training images of all sets together, in equal shares that `seed` draws; None: all of them
    left_out: a set that the model is judged on and must know nothing of
    """

    sets: tuple[Data, ...]
    images: int | None = None
    seed: int = 0
    left_out: Data | None = None

    def shares(self) -> list[int | None]:
        """Return the number of training images of each set; the first ones get what equal shares leave over."""
        if self.images is None:
            return [None] * len(self.sets)
        share, more = divmod(self.images, len(self.sets))
        return [share + (number < more) for number in range(len(self.sets))]

    def judged_beside(self, settings: Data) -> list[tuple[Data, str]]:
        """Return the images that are judged beside a set: the other sets' validation images, and the set left out.

        For each set there are its settings and the name of its part, see `StudyCache.rows`.
        """
        left_out = [] if self.left_out is None else [(self.left_out, "all")]
        return [(other, "validation") for other in self.sets if other is not settings] + left_out


def training_sets_of(config: Config) -> TrainingSets:
    """Return the sets that a run learns from: several, or `data` alone."""
    if not config.sets:
        return TrainingSets((config.data,))
    sets = tuple(settings for name, settings in config.sets.items() if name != config.leave_out)
    left_out = None if config.leave_out is None else config.sets[config.leave_out]
    return TrainingSets(sets, config.sets_images, config.sets_images_seed, left_out)


def weights(images: Mapping[str, int], of_each: str) -> dict[str, float]:
    """Return what an image of each set counts in a mean, on average 1.

    images: the number of images by set; of_each: `images`: the same; `sets`: all images of a set as much as another's
    """
    total = sum(images.values())
    return {name: 1.0 if of_each == "images" else total / (len(images) * count) for name, count in images.items()}


def drawn(rows: Sequence[Sequence[int]], trained_on: TrainingSets) -> list[list[int]]:
    """Return the training images of each set that are used, ascending; rows: those that there are.

    Raises a SettingError where a set has fewer than its share, or none at all.
    """
    for of_set, settings in zip(rows, trained_on.sets, strict=True):
        if not of_set:
            raise SettingError(
                f"{settings.name}: all of its training images are judged in another set, so that none is left to learn "
                "from; leave it out of sets=[NAME,...]"
            )
    fewest = min(range(len(rows)), key=lambda number: len(rows[number]))
    if trained_on.images is not None and trained_on.images > len(rows) * len(rows[fewest]):
        raise SettingError(
            f"sets_images={trained_on.images}: {trained_on.sets[fewest].name} has {len(rows[fewest])} training images, "
            f"so that equal shares of {len(rows)} sets are at most sets_images={len(rows) * len(rows[fewest])}"
        )
    chosen = []
    for of_set, share in zip(rows, trained_on.shares(), strict=True):
        if share is None:
            chosen.append(list(of_set))
        else:
            places = np.random.RandomState(trained_on.seed).choice(len(of_set), share, replace=False)
            chosen.append([of_set[place] for place in np.sort(places)])
    return chosen
