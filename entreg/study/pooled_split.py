"""The images of one set or of several, from which batches are taken that each hold images of one set and one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from entreg.config import Prior
from entreg.features.recipe import Recipe
from entreg.features.store import FeatureStore
from entreg.study.split import Batch, Split
from entreg.units import Size


@dataclass(frozen=True)
class PooledSplit:
    """The images of one set or of several, set after set in the order of their names.

    parts: by the set's name; weights: what an image of each set counts in a mean, on average 1
    """

    parts: Mapping[str, Split]
    weights: Mapping[str, float]

    def __len__(self) -> int:
        return len(self._places)

    @cached_property
    def kinds(self) -> list[tuple[str, Size]]:
        """The set and the size (H, W) of each image; a batch holds images of one kind."""
        return [(name, self.parts[name].sizes[i]) for name, i in self._places]

    @cached_property
    def sizes(self) -> list[Size]:
        """The size (H, W) of each image as the model receives it."""
        return [size for _, size in self.kinds]

    @cached_property
    def names(self) -> list[str]:
        """The images' names, with those of their sets where there are several."""
        named = [(name, self.parts[name].names[i]) for name, i in self._places]
        return [f"{name}/{image}" if len(self.parts) > 1 else image for name, image in named]

    @cached_property
    def counts(self) -> Tensor:
        """The number of fixations on each image: (n,)."""
        return torch.cat([part.counts for part in self.parts.values()])

    @cached_property
    def fixations(self) -> list[tuple[Tensor, Tensor]]:
        """The pixels (y, x) of every image's fixations."""
        return [pixels for part in self.parts.values() for pixels in part.fixations]

    @property
    def recipe(self) -> Recipe:
        """The recipe by which the features of all sets are computed."""
        return next(iter(self.parts.values())).store.recipe

    @property
    def stores(self) -> str:
        """The fingerprints of the features."""
        return ", ".join(dict.fromkeys(part.store.fingerprint for part in self.parts.values()))

    def rows_read(self) -> dict[FeatureStore, list[int]]:
        """Return the rows that are read of each feature store."""
        return {part.store: list(part.rows) for part in self.parts.values()}

    def read(self, i: int) -> np.ndarray:
        """Return image i as the model receives it: (H, W, 3) uint8."""
        name, number = self._places[i]
        return self.parts[name].read(number)

    def set_of(self, members: Sequence[int]) -> str:
        """Return the name of the set that the images of a batch belong to."""
        return self._places[members[0]][0]

    def weight(self, members: Sequence[int]) -> float:
        """Return what each image of a batch counts in a mean."""
        return self.weights[self.set_of(members)]

    def batch(self, members: Sequence[int]) -> Batch:
        """Return a batch of the images `members`, which are all of one kind."""
        name, numbers = self._of_part(members)
        return self.parts[name].batch(numbers)

    def prefetch(self, members: Sequence[int]) -> None:
        """Ask the system to read the features of a batch before they are needed."""
        if members:
            name, numbers = self._of_part(members)
            self.parts[name].prefetch(numbers)

    def gaussian_log_priors(self, prior: Prior) -> list[np.ndarray]:
        """Return the log density (nats) of the Gaussian centre prior at each image's fixations."""
        return [values for part in self.parts.values() for values in part.gaussian_log_priors(prior)]

    @cached_property
    def _places(self) -> list[tuple[str, int]]:
        """The set of each image, and its number in the set's split."""
        return [(name, i) for name, part in self.parts.items() for i in range(len(part))]

    def _of_part(self, members: Sequence[int]) -> tuple[str, list[int]]:
        places = [self._places[i] for i in members]
        return places[0][0], [i for _, i in places]
