"""What a run works on: data brought to one size, features, centre biases and priors, ready to be read in batches."""
from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import hydra
import numpy as np
import torch
from torch import Tensor

from entreg.config import Config, Data
from entreg.data.geometry import Geometry, Resized, resize
from entreg.data.kde import FixationKde, gaussian_log_prior
from entreg.data.splits import chosen, split
from entreg.data.uniform import UniformImages, levels
from entreg.engine.hardware import convolution_of, precision_of
from entreg.engine.ranks import Ranks
from entreg.errors import DataError
from entreg.features.backbone import build
from entreg.features.grid import Grid
from entreg.features.recipe import Recipe
from entreg.features.store import Store, open_store
from entreg.model.center_bias import CenterBias, leave_one_out_maps

log = logging.getLogger(__name__)

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


class Photos:
    """Some images of a data set, as a feature store sees them."""

    def __init__(self, resized: Resized, items: list[int]) -> None:
        self._resized, self._items = resized, items
        stimuli = [resized.dataset.stimuli[i] for i in items]
        self.names = [stimulus.name for stimulus in stimuli]
        self.sizes = [resized.sizes[i] for i in items]
        with ThreadPoolExecutor() as pool:
            self.contents = [f"{h} {resized.geometry}" for h in pool.map(_sha256, (s.path for s in stimuli))]

    def read(self, i: int) -> np.ndarray:
        return self._resized.read(self._items[i])


class Flat:
    """Uniform images of one size, as a feature store sees them."""

    def __init__(self, intensities: list[float], size: Size) -> None:
        self._images = UniformImages(intensities, size)
        self.names = [f"uniform {level:.4f}" for level in intensities]
        self.sizes = [size] * len(intensities)
        self.contents = [f"uniform {level!r}" for level in intensities]

    def read(self, i: int) -> np.ndarray:
        return self._images.read(i)


@dataclass(frozen=True)
class Part:
    """Images of one data set that are trained, validated or judged on.

    items: index into the resized data set of each image
    center_biases: (m_y, m_x) nats of each image
    """

    resized: Resized
    items: list[int]
    store: Store
    rows: list[int]
    center_biases: list[Tensor]
    device: torch.device

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def names(self) -> list[str]:
        return [self.resized.dataset.stimuli[i].name for i in self.items]

    @cached_property
    def sizes(self) -> list[Size]:
        return [self.resized.sizes[i] for i in self.items]

    @cached_property
    def fixations(self) -> list[tuple[Tensor, Tensor]]:
        """(y, x) pixels of every image's fixations."""
        pairs = (self.resized.fixations(i) for i in self.items)
        return [(torch.from_numpy(y), torch.from_numpy(x)) for y, x in pairs]

    @cached_property
    def counts(self) -> Tensor:
        """(n,) fixations of each image."""
        return torch.tensor([len(y) for y, _ in self.fixations], dtype=torch.float32)

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

    def gaussian_log_priors(self, variance: float, nu: float) -> list[np.ndarray]:
        """Log density (nats) of the Gaussian centre prior at each image's fixations."""
        found, maps = [], {}
        for i, size, (y, x) in zip(self.items, self.sizes, self.fixations):
            stimulus = self.resized.dataset.stimuli[i]
            stored = stimulus.height_px, stimulus.width_px
            key = (*size, *stored)
            if key not in maps:
                maps[key] = gaussian_log_prior(*key, variance, nu, self.resized.geometry.seen(*stored))
            found.append(maps[key][y.numpy(), x.numpy()])
        return found


@dataclass(frozen=True)
class UniformPart:
    """Uniform images of one size: what the bias map is predicted from."""

    store: Store
    size: Size
    center_bias: Tensor
    device: torch.device

    def __len__(self) -> int:
        return len(self.store.names)

    def inputs(self, members: Sequence[int]) -> tuple[Tensor | Sequence[Tensor], Tensor, Grid]:
        """Features, centre bias and grid of some of the images, as the model takes them."""
        features = [self.store[i] for i in members]
        center_bias = self.center_bias.to(self.device).expand(len(members), -1, -1)
        if self.device.type == "cuda":
            features = torch.stack(features).to(self.device)
        return features, center_bias, self.store.recipe.grid(self.size)


class Study:
    """Everything that a run reads, built in one place from its config."""

    def __init__(self, config: Config, ranks: Ranks) -> None:
        self.config, self.ranks = config, ranks
        self.data = load(config.data, ranks)
        self.ood = load(config.ood, ranks) if config.ood is not None else None
        backbone = build(config.model.backbone, config.model.downsample, config.paths.weights)
        stored, precision = getattr(torch, config.store.dtype), precision_of(config.hardware, ranks.device.type)
        self.recipe = Recipe(
            backbone, config.model.readout_factor, config.model.saliency_map_factor, stored, precision,
            convolution_of(config.hardware, ranks.device.type, precision, stored),
        )
        items = _with_fixations(self.data, chosen(len(self.data.sizes), config.data), config.data)
        training, validation = split(len(items), config.data)
        self.kde = kde_of(self.data, [items[i] for i in training], config)
        self.center_bias = CenterBias(
            config.model.center_bias, config.prior, config.model.saliency_map_factor, self.kde
        )
        store = self._store(self.data, items)
        self.training = self._part(self.data, store, list(training), items, leave_out=True)
        self.validation = self._part(self.data, store, list(validation), items)
        self.fingerprints = {
            "data": self._fingerprint(self.data, items), "weights": backbone.fingerprint(),
            "features": store.folder.name,
        }
        log.info(
            "%s: %d images to train on, %d to validate on",
            self.data.dataset.name, len(self.training), len(self.validation),
        )

    @cached_property
    def out_of_domain(self) -> Part | None:
        """The images of `ood`, with the training data's centre bias: nothing of the target is known."""
        if self.ood is None:
            return None
        items = _with_fixations(self.ood, chosen(len(self.ood.sizes), self.config.ood), self.config.ood)
        self.fingerprints["ood"] = self._fingerprint(self.ood, items)
        return self._part(self.ood, self._store(self.ood, items), list(range(len(items))), items)

    def uniform(self, size: Size) -> UniformPart:
        """Uniform images of `size` (H, W), with the centre bias that the model receives for new images."""
        images = Flat(levels(self.config.uniform), size)
        store = open_store(images, self.recipe, self._folder("features"), self.ranks.device, self.ranks)
        return UniformPart(store, size, self.center_bias.map(size), self.ranks.device)

    @property
    def landscape(self) -> Size:
        """The (H, W) in which bias maps are reported."""
        return self.config.data.short_side_px, self.config.data.long_side_px

    def _store(self, resized: Resized, items: list[int]) -> Store:
        return open_store(
            Photos(resized, items), self.recipe, self._folder("features"), self.ranks.device, self.ranks
        )

    def _part(self, resized: Resized, store: Store, rows: list[int], items: list[int], leave_out: bool = False) -> Part:
        part_items = [items[row] for row in rows]
        sizes = [resized.sizes[i] for i in part_items]
        if leave_out and self.config.model.center_bias == "kde":
            maps = leave_one_out_maps(
                self.kde, self._fingerprint(resized, part_items), part_items, sizes,
                self.config.model.saliency_map_factor, self._folder("center_bias"), self.ranks,
            )
            center_biases = [torch.from_numpy(m) for m in maps]
        else:
            center_biases = [self.center_bias.map(size) for size in sizes]
        return Part(resized, part_items, store, rows, center_biases, self.ranks.device)

    def _fingerprint(self, resized: Resized, items: list[int]) -> str:
        digest = hashlib.sha256()
        for i in items:
            own = slice(resized.offsets[i], resized.offsets[i + 1])
            digest.update(resized.dataset.stimuli[i].name.encode())
            digest.update(np.stack([resized.x[own], resized.y[own]]).tobytes())
        return digest.hexdigest()

    def _folder(self, kind: str) -> Path:
        return Path(self.config.paths.store) / kind


def load(settings: Data, ranks: Ranks) -> Resized:
    """A data set, brought to the size of its settings; what was found is logged."""
    dataset = hydra.utils.get_method(settings._target_)(settings)
    resized = resize(dataset, Geometry(settings.geometry, settings.long_side_px, settings.short_side_px))
    log.info("%s%s", dataset.summary(), f", {resized.n_outside} outside the crop" if resized.n_outside else "")
    for note in dataset.notes:
        log.warning("%s: %s", dataset.name, note)
    return resized


def kde_of(resized: Resized, items: list[int], config: Config) -> FixationKde:
    """KDE of the fixations on some images of a data set, in relative coordinates."""
    own = [slice(resized.offsets[i], resized.offsets[i + 1]) for i in items]
    sizes = [resized.sizes[i] for i in items]
    y = [resized.y[o] / height for o, (height, _) in zip(own, sizes)]
    x = [resized.x[o] / width for o, (_, width) in zip(own, sizes)]
    image = np.repeat(items, [len(part) for part in y])
    return FixationKde(
        np.concatenate(y), np.concatenate(x), image, config.prior.kde_bandwidth, config.prior.kde_regularisation
    )


def _with_fixations(resized: Resized, items: np.ndarray, settings: Data) -> list[int]:
    found = [int(i) for i in items if resized.offsets[i + 1] > resized.offsets[i]]
    if len(found) < len(items):
        log.warning("%s: %d images without fixations are left out", resized.dataset.name, len(items) - len(found))
    if not found:
        raise DataError(f"{resized.dataset.name}: none of the {len(items)} images has fixations ({settings.root})")
    return found


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
