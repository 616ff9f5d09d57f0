"""Splits: images with everything that the model reads, in batches."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from entreg.config import Prior
from entreg.data.dataset import Fixations, Stimulus
from entreg.data.geometry import Resized
from entreg.distributed.threads import one_thread
from entreg.features.grid import Grid
from entreg.features.rectified import Features, full
from entreg.features.store import FeatureStore
from entreg.priors.gaussian import gaussian_log_prior
from entreg.units import Size


@dataclass(frozen=True)
class Batch:
    """Images of one size, on the run's device.

    features: B times (cells, C), as one tensor on a GPU and as views of the store on the CPU
    center_bias: (B, m_y, m_x) nats
    image, y, x: (n,) the image in the batch, and the pixel, of every fixation
    """

    features: Tensor | Sequence[Features]
    center_bias: Tensor
    grid: Grid
    image: Tensor
    y: Tensor
    x: Tensor


ALIKE = 0.01  # greatest difference of features that count as the same; they are normalised to a variance of 1


@dataclass(frozen=True)
class ImageSubset:
    """Some images of a data set, with the fixations on them.

    items: the index of each image in the resized data set
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
        """The size (H, W) of each image as the model receives it."""
        return [self.resized.sizes[i] for i in self.items]

    @cached_property
    def pooled(self) -> Fixations:
        """The fixations on all images, image after image. `image` is the image's number in this subset."""
        pooled = self.resized.pooled(self.items)
        if self.items == list(range(len(self))):
            return pooled  # whose images have these numbers
        return dataclasses.replace(pooled, image=np.repeat(np.arange(len(self)), self.resized.counts[self.items]))

    @cached_property
    def fixations(self) -> list[tuple[Tensor, Tensor]]:
        """The pixels (y, x) of every image's fixations."""
        pairs = (self.resized.of(i).pixels for i in self.items)
        return [(torch.from_numpy(y), torch.from_numpy(x)) for y, x in pairs]

    @cached_property
    def counts(self) -> Tensor:
        """The number of fixations on each image: (n,)."""
        return torch.tensor([len(y) for y, _ in self.fixations], dtype=torch.float32)

    def read(self, i: int) -> np.ndarray:
        """Return image i as the model receives it: (H, W, 3) uint8."""
        return self.resized.read(self.items[i])

    def cut(self, values: np.ndarray) -> list[np.ndarray]:
        """Cut one value for each of the pooled fixations into one array for each image."""
        return np.split(values, np.cumsum(self.resized.counts[self.items])[:-1])

    def fingerprint(self) -> str:
        """Return the SHA-256 of the images' names and of the fixations on them."""
        digest = hashlib.sha256()
        for name, item in zip(self.names, self.items, strict=True):
            fixations = self.resized.of(item)
            digest.update(name.encode())
            digest.update(np.stack([fixations.x, fixations.y]).tobytes())
        return digest.hexdigest()

    def gaussian_log_priors(self, prior: Prior) -> list[np.ndarray]:
        """Return the log density (nats) of the Gaussian centre prior at each image's fixations."""
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
class Split(ImageSubset):
    """Images to train, validate or evaluate on, with everything that the model reads.

    rows: the index of each image in the store
    center_biases: (m_y, m_x) nats for each image
    precision: that of the model's widest product
    """

    store: FeatureStore
    rows: list[int]
    center_biases: list[Tensor]
    device: torch.device
    precision: torch.dtype

    def without(self, names: Collection[str]) -> Split:
        """Return the split without the images of these names."""
        remaining = [i for i, name in enumerate(self.names) if name not in names]
        return dataclasses.replace(
            self,
            items=[self.items[i] for i in remaining],
            rows=[self.rows[i] for i in remaining],
            center_biases=[self.center_biases[i] for i in remaining],
        )

    def batch(self, members: Sequence[int]) -> Batch:
        """Return a batch of the images `members` (numbers within this split), which all have one size."""
        features = [self.store.compact(self.rows[i]) for i in members]
        with one_thread():  # several threads take as long, and much longer where they wait for one
            center_biases = torch.stack([self.center_biases[i] for i in members])
            images = torch.repeat_interleave(torch.arange(len(members)), self.counts[members].long())
        return Batch(
            _on(self.device, features),
            center_biases.to(self.device),
            self.store.recipe.grid(self.sizes[members[0]]),
            images.to(self.device),
            torch.cat([self.fixations[i][0] for i in members]).to(self.device),
            torch.cat([self.fixations[i][1] for i in members]).to(self.device),
        )

    def prefetch(self, members: Sequence[int]) -> None:
        """Ask the system to read these images' features before they are needed."""
        self.store.prefetch([self.rows[i] for i in members])


@dataclass(frozen=True)
class UniformInputs:
    """Uniform images of one size, for which the bias map is predicted. precision: see `Split`."""

    store: FeatureStore
    size: Size
    center_bias: Tensor
    device: torch.device
    precision: torch.dtype

    def __len__(self) -> int:
        return len(self.store.names)

    @cached_property
    def look_alike(self) -> bool:
        """Whether all cells of an image have the same features, by which a network without padding sees no place."""
        features = full(self.store[0]).float()
        return bool((features - features[0]).abs().max() < ALIKE)

    def inputs(self, members: Sequence[int]) -> tuple[Tensor | Sequence[Features], Tensor, Grid]:
        """Return the features, centre bias and grid of some of the images, as the model takes them."""
        features = _on(self.device, [self.store.compact(i) for i in members])
        center_bias = self.center_bias.to(self.device).expand(len(members), -1, -1)
        return features, center_bias, self.store.recipe.grid(self.size)


def _on(device: torch.device, features: Sequence[Features]) -> Tensor | Sequence[Features]:
    """Return the features of a batch as the model takes them on a device: on a GPU as one tensor (B, cells, C)."""
    return torch.stack([full(image.to(device)) for image in features]) if device.type == "cuda" else features
