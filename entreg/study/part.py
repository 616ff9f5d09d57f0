"""Images with everything that the model reads of them, ready to be taken in batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from entreg.config import Prior
from entreg.data.dataset import Fixations, Stimulus
from entreg.data.geometry import Resized
from entreg.features.grid import Grid
from entreg.features.store import FeatureStore
from entreg.prior.gaussian import gaussian_log_prior

Size = tuple[int, int]


@dataclass(frozen=True)
class Batch:
    """Images of one size, on the run's device.

    features: B times (cells, C): one tensor on a GPU, views of the store on the CPU
    center_bias: (B, m_y, m_x) nats
    image, y, x: (n,) of every fixation: its image in the batch and its pixel
    """

    features: Tensor | Sequence[Tensor]
    center_bias: Tensor
    grid: Grid
    image: Tensor
    y: Tensor
    x: Tensor


@dataclass(frozen=True)
class Subset:
    """Some images of a data set, with the fixations on them.

    items: index into the resized data set of each image
    """

    resized: Resized
    items: list[int]

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def stimuli(self) -> list[Stimulus]:
        """The stored images."""
        return [self.resized.dataset.stimuli[i] for i in self.items]

    @cached_property
    def names(self) -> list[str]:
        """The images' names."""
        return [stimulus.name for stimulus in self.stimuli]

    @cached_property
    def sizes(self) -> list[Size]:
        """(H, W) of each image as the model sees it."""
        return [self.resized.sizes[i] for i in self.items]

    @cached_property
    def pooled(self) -> Fixations:
        """The fixations on all images, image after image; `image` is the image's number in this subset."""
        pooled = self.resized.pooled(self.items)
        return dataclasses.replace(pooled, image=np.repeat(np.arange(len(self)), self.resized.counts[self.items]))

    @cached_property
    def fixations(self) -> list[tuple[Tensor, Tensor]]:
        """(y, x) pixels of every image's fixations."""
        pairs = (self.resized.of(i).pixels for i in self.items)
        return [(torch.from_numpy(y), torch.from_numpy(x)) for y, x in pairs]

    @cached_property
    def counts(self) -> Tensor:
        """(n,) fixations of each image."""
        return torch.tensor([len(y) for y, _ in self.fixations], dtype=torch.float32)

    def read(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8: image i as the model sees it."""
        return self.resized.read(self.items[i])

    def cut(self, values: np.ndarray) -> list[np.ndarray]:
        """One value for each of the pooled fixations, as one array for each image."""
        return np.split(values, np.cumsum(self.resized.counts[self.items])[:-1])

    def gaussian_log_priors(self, prior: Prior) -> list[np.ndarray]:
        """Log density (nats) of the Gaussian centre prior at each image's fixations."""
        maps: dict[tuple[int, int, int, int], np.ndarray] = {}
        values = []
        for stimulus, size, (y, x) in zip(self.stimuli, self.sizes, self.fixations, strict=True):
            stored = stimulus.height_px, stimulus.width_px
            key = (*size, *stored)
            if key not in maps:
                seen = self.resized.geometry.seen(*stored)
                maps[key] = gaussian_log_prior(*key, prior.gaussian_variance, prior.gaussian_nu, seen)
            values.append(maps[key][y.numpy(), x.numpy()])
        return values


@dataclass(frozen=True)
class Part(Subset):
    """Images that are trained, validated or judged on, with all that the model reads of them.

    rows: index into the store of each image
    center_biases: (m_y, m_x) nats of each image
    """

    store: FeatureStore
    rows: list[int]
    center_biases: list[Tensor]
    device: torch.device

    @property
    def precision(self) -> torch.dtype:
        """Of the model's widest product, as the features were computed."""
        return self.store.recipe.precision

    def without(self, names: Collection[str]) -> Part:
        """The part without the images of these names."""
        kept = [i for i, name in enumerate(self.names) if name not in names]
        return dataclasses.replace(
            self,
            items=[self.items[i] for i in kept],
            rows=[self.rows[i] for i in kept],
            center_biases=[self.center_biases[i] for i in kept],
        )

    def batch(self, members: Sequence[int]) -> Batch:
        """Images `members` (numbers within this part), all of one size."""
        features = [self.store[self.rows[i]] for i in members]
        return Batch(
            torch.stack(features).to(self.device) if self.device.type == "cuda" else features,
            torch.stack([self.center_biases[i] for i in members]).to(self.device),
            self.store.recipe.grid(self.sizes[members[0]]),
            torch.repeat_interleave(torch.arange(len(members)), self.counts[members].long()).to(self.device),
            torch.cat([self.fixations[i][0] for i in members]).to(self.device),
            torch.cat([self.fixations[i][1] for i in members]).to(self.device),
        )

    def prefetch(self, members: Sequence[int]) -> None:
        """Asks for these images' features before they are needed."""
        self.store.prefetch([self.rows[i] for i in members])


@dataclass(frozen=True)
class UniformPart:
    """Uniform images of one size: what the bias map is predicted from."""

    store: FeatureStore
    size: Size
    center_bias: Tensor
    device: torch.device

    def __len__(self) -> int:
        return len(self.store.names)

    @property
    def precision(self) -> torch.dtype:
        """Of the model's widest product, as the features were computed."""
        return self.store.recipe.precision

    def inputs(self, members: Sequence[int]) -> tuple[Tensor | Sequence[Tensor], Tensor, Grid]:
        """Features, centre bias and grid of some of the images, as the model takes them."""
        features: Tensor | Sequence[Tensor] = [self.store[i] for i in members]
        center_bias = self.center_bias.to(self.device).expand(len(members), -1, -1)
        if self.device.type == "cuda":
            features = torch.stack(list(features)).to(self.device)
        return features, center_bias, self.store.recipe.grid(self.size)
