"""The settings of a data set: where it is, which of its images are used, and how they are brought to one size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from omegaconf import MISSING

from entreg.config.settings import MOST_PX, MOST_SEED, Rule, groups, setting

# what a data set can be found to be, see entreg/data/plausibility/
IMPLAUSIBLE = (
    "outside",
    "at_origin",
    "one_point",
    "shares",
    "centred",
    "swapped",
    "scaled",
    "turned",
    "blurred_maps",
    "samples",
)


def is_mit1003(name: str) -> bool:
    """Return whether a name is one of MIT1003's, as pysaliency's MIT1003_onesize is: published models have seen it."""
    return name.lower().startswith("mit1003")


@dataclass
class Data:
    """The settings that every data set has.

    Each module in entreg/data/sources/ has a `Settings` that inherits from this and adds what its source needs.
    """

    embedded: ClassVar[bool] = False  # whether its images are drawn for the embedded study, and no people saw them

    source: str = setting(
        MISSING, "source that reads it: the name of a module in entreg/data/sources/", affects="result"
    )
    name: str = setting(MISSING, "name of the data set", affects="result")
    root: str | None = setting(None, "folder of the data set", affects="location", path=True)
    limit: int | None = setting(
        None, "number of images to use, the first ones, after sample", affects="result", at_least=2
    )
    sample: int | None = setting(None, "number of images to draw at random", affects="result", at_least=1)
    sample_seed: int = setting(
        0, "seed of sample, independent of the run's seed", affects="result", at_least=0, at_most=MOST_SEED
    )
    split_seed: int = setting(
        42, "seed of the shuffle before the folds are cut", affects="result", at_least=0, at_most=MOST_SEED
    )
    folds: int = setting(
        10,
        "number of folds; fold `fold` is the validation split, the others are the training split",
        affects="result",
        at_least=2,
        at_most=100_000,
    )
    fold: int = setting(
        0, "fold to validate on; a sweep over all folds is a cross-validation", affects="replicate", at_least=0
    )
    geometry: str = setting(
        "stretch",
        "stretch: to the size; crop: scale to cover the size and cut out the centre; degrees: keep each image's shape, "
        "and scale foreign sets to the training set's pixels per degree of visual angle (the size is then that of the "
        "bias maps)",
        affects="result",
        one_of=("stretch", "crop", "degrees"),
    )
    px_per_degree: float | None = setting(
        None,
        "pixels of the stored images per degree of visual angle, as they were shown; null: unknown",
        affects="result",
        above=0,
    )
    model_px_per_degree: float | None = setting(
        None,
        "pixels per degree that geometry=degrees scales images to, in foreign sets always those of the training set; "
        "null: the training set's px_per_degree",
        affects="result",
        above=0,
    )
    long_side_px: int = setting(
        1024, "longer side of the images that the model receives", affects="result", at_least=32, at_most=MOST_PX
    )
    short_side_px: int = setting(
        768, "shorter side of the images that the model receives", affects="result", at_least=32, at_most=MOST_PX
    )
    sigma_px: float = setting(
        35.0,
        "blur of the ground-truth density, pixels (35 px = 1 degree in MIT1003)",
        affects="evaluation",
        above=0,
        at_most=MOST_PX,
    )

    accept: list[str] = setting(
        [],
        "kinds of implausible fixations to use as they are, such as [outside]; a data set that shows another kind is "
        "refused, with what it is",
        affects="evaluation",
        one_of=IMPLAUSIBLE,
    )

    @property
    def unused(self) -> tuple[str, ...]:
        """The settings that this geometry ignores, so that they do not distinguish runs."""
        return () if self.geometry == "degrees" else ("px_per_degree", "model_px_per_degree")

    def require(self) -> None:
        """Raise a DataError where the data set is missing. Only names are checked, before anything is read."""

    def true_log_density(self, index: int) -> np.ndarray | None:
        """Return the log density that fixations on image `index` were drawn from: (H, W) nats; None where unknown."""
        return None

    def broken_rules(self) -> Iterator[Rule]:
        """Yield the rules between settings that are broken."""
        if self.fold >= self.folds:
            yield "fold", f"folds is {self.folds}, and folds are counted from 0"
        if self.short_side_px > self.long_side_px:
            yield "short_side_px", f"at most long_side_px={self.long_side_px}"
        if self.geometry == "degrees":
            if self.px_per_degree is None:
                yield "px_per_degree", "geometry=degrees needs it: how many pixels were a degree of visual angle?"
            elif self.model_px_per_degree is None:
                yield "geometry", "the training set has another, so there are no pixels per degree to scale to"
        elif self.model_px_per_degree is not None:
            yield "geometry", "model_px_per_degree needs geometry=degrees, under which every set keeps its shapes"


@dataclass
class Download:
    """A zip archive that a data set was published in, downloaded to the data set's root."""

    address: str = setting(MISSING, "URL of the archive", affects="location")
    holds: str = setting(
        MISSING, "folder or file in the archive to unpack below root; the rest is left out", affects="location"
    )
    hash: str | None = setting(
        None, "md5:DIGITS or sha256:DIGITS, as published; null: not published", affects="location"
    )
    size_bytes: int | None = setting(None, "size of the archive; null: unknown", affects="location", at_least=1)

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong with the URL, the path below root and the hash."""
        if not re.fullmatch(r"https?://[^/]+/(.*/)?[\w-][\w.-]*(\?.*)?", self.address):
            yield "address", "http:// or https://, ending with a file's name"
        if not re.fullmatch(r"[\w-][\w. -]*(/[\w-][\w. -]*)*", self.holds):
            yield "holds", "a name below root, such as trainSet"
        if self.hash is not None and not re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", self.hash):
            yield "hash", "md5: and 32 or sha256: and 64 digits of 0-9a-f"


@dataclass
class PublishedData(Data):
    """The settings of a published data set: its web page, licence, archives and counts."""

    published_at: str | None = setting(None, "web page of the data set", affects="location")
    licence: str | None = setting(None, "licence that its publisher states; null: none", affects="location")
    downloads: dict[str, Download] = groups(affects="location")
    expected_images: int | None = setting(
        None, "number of stimuli in the published set", affects="evaluation", at_least=1
    )
    expected_fixations: int | None = setting(
        None, "number of fixations in the published set that are used", affects="evaluation", at_least=1
    )

    def differences(self, images: int, fixations: int) -> list[str]:
        """Return how a copy with these counts differs from the published set: one line, or none."""
        counts = (("images", images, self.expected_images), ("fixations", fixations, self.expected_fixations))
        wrong = [f"{n} {what} instead of {expected}" for what, n, expected in counts if expected not in (None, n)]
        return [f"{self.root} is not the published set: {', '.join(wrong)}"] if wrong else []
