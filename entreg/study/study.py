"""What a run works on: data, then features, priors and centre biases, made stage by stage when they are asked for."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from entreg.config import Backbone, Config, Data, Prior, Uniform
from entreg.data import sources
from entreg.data.geometry import Photos, Resized, resize, shape_of
from entreg.data.splits import chosen, split
from entreg.data.uniform import UniformImages, levels
from entreg.errors import DataError
from entreg.features import weights
from entreg.features.backbone import build
from entreg.features.build import open_store
from entreg.features.recipe import Recipe
from entreg.features.store import FeatureStore
from entreg.prior.center_bias import CenterBias, leave_one_out_maps
from entreg.prior.kde import FixationKde, kde_of
from entreg.ranks import Ranks
from entreg.run.hardware import convolution_of, precision_of
from entreg.study.part import Part, Size, Subset, UniformPart

log = logging.getLogger(__name__)

Stage = TypeVar("Stage", bound=Callable[..., Any])


def stage(make: Stage) -> Stage:
    """A method of Stages whose product is made once for each combination of the settings that it takes."""

    @wraps(make)
    def made(self: Stages, *settings: Any) -> Any:
        key = make.__name__, repr(settings)
        if key not in self.made:
            self.made[key] = make(self, *settings)
        return self.made[key]

    return made  # type: ignore[return-value]  # it takes and returns what `make` does


@dataclass(frozen=True)
class RecipeSettings:
    """All settings that features depend on, beside the images."""

    backbone: Backbone
    downsample: int
    readout_factor: int
    map_factor: int
    weights_folder: str
    dtype: str
    precision: torch.dtype
    convolution: str


def recipe_settings(config: Config, kind: str) -> RecipeSettings:
    """The settings that features depend on, on a device of this kind (cpu or cuda)."""
    precision = precision_of(config.hardware, kind)
    convolution = convolution_of(config.hardware, kind, precision, getattr(torch, config.store.dtype))
    model = config.model
    return RecipeSettings(
        model.backbone,
        model.downsample,
        model.readout_factor,
        model.saliency_map_factor,
        config.paths.weights,
        config.store.dtype,
        precision,
        convolution,
    )


class Stages:
    """How a study is made. Each stage takes the settings that it depends on; studies that agree in them share it."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.made: dict[tuple[str, str], Any] = {}

    @stage
    def data(self, settings: Data) -> Resized:
        """The data set, brought to the size of its settings; what was read is logged."""
        dataset = sources.load(settings)
        resized = resize(dataset, shape_of(settings))
        log.info("%s%s", dataset.summary(), f", {resized.n_outside} outside the crop" if resized.n_outside else "")
        for note in dataset.notes:
            log.warning("%s: %s", dataset.name, note)
        return resized

    @stage
    def items(self, settings: Data) -> list[int]:
        """The images used of a data set: those chosen that have fixations."""
        resized = self.data(settings)
        numbers = chosen(len(resized), settings)
        items = [int(i) for i in numbers if resized.counts[i] > 0]
        if len(items) < len(numbers):
            log.warning("%s: %d images without fixations are left out", settings.name, len(numbers) - len(items))
        if not items:
            raise DataError(f"{settings.name}: none of the {len(numbers)} images has fixations ({settings.root})")
        return items

    @stage
    def rows(self, settings: Data, which: str) -> list[int]:
        """Numbers, among the images used, of those that `which` says: `training`, `validation` or `all`."""
        used = len(self.items(settings))
        if which == "all":
            return list(range(used))
        training, validation = split(used, settings)
        return {"training": training, "validation": validation}[which].tolist()

    @stage
    def subset(self, settings: Data, which: str) -> Subset:
        """Images of a data set with the fixations on them; which: see `rows`."""
        items = self.items(settings)
        return Subset(self.data(settings), [items[row] for row in self.rows(settings, which)])

    @stage
    def recipe(self, made_by: RecipeSettings) -> Recipe:
        """How features come from images."""

        def fetch() -> None:
            if made_by.backbone.weights is not None:
                weights.fetched(made_by.backbone.name, made_by.backbone.weights, Path(made_by.weights_folder))

        self.ranks.first_does(fetch)
        return Recipe(
            build(made_by.backbone, made_by.downsample, made_by.weights_folder),
            made_by.readout_factor,
            made_by.map_factor,
            getattr(torch, made_by.dtype),
            made_by.precision,
            made_by.convolution,
        )

    @stage
    def features(self, settings: Data, made_by: RecipeSettings, store: str) -> FeatureStore:
        """The features of all images used of a data set."""
        photos = Photos(self.data(settings), self.items(settings))
        return open_store(photos, self.recipe(made_by), Path(store) / "features", self.ranks)

    def features_of(
        self, settings: Data, which: str, made_by: RecipeSettings, store: str
    ) -> tuple[FeatureStore, list[int]]:
        """A store that holds the features of the images that `which` says, and their numbers in it."""
        return self.features(settings, made_by, store), self.rows(settings, which)

    @stage
    def kde(self, settings: Data, prior: Prior) -> FixationKde:
        """KDE of the fixations on the training images."""
        training = self.subset(settings, "training")
        return kde_of(training.resized, training.items, prior)

    @stage
    def center_bias(self, settings: Data, kind: str, map_factor: int, prior: Prior) -> CenterBias:
        """The centre bias that a model trained on this data set receives for new images; kind: see `CenterBias`."""
        return CenterBias(kind, prior, map_factor, self.kde(settings, prior) if kind == "kde" else None)

    @stage
    def part(
        self, settings: Data, which: str, trained_on: Data, kind: str, made_by: RecipeSettings, prior: Prior, store: str
    ) -> Part:
        """Images with all that a model reads of them; which: see `rows`, kind: see `center_bias`.

        The centre bias is that of the data set that is trained on: nothing of another set is known. A KDE leaves the
        own fixations of each training image out.
        """
        subset = self.subset(settings, which)
        features, rows = self.features_of(settings, which, made_by, store)
        if which == "training" and kind == "kde":
            maps = leave_one_out_maps(
                self.kde(settings, prior),
                fingerprint(subset),
                subset.items,
                subset.sizes,
                made_by.map_factor,
                Path(store) / "center_bias",
                self.ranks,
            )
            center_biases = [torch.from_numpy(one) for one in maps]
        else:
            center_bias = self.center_bias(trained_on, kind, made_by.map_factor, prior)
            center_biases = [center_bias.map(size) for size in subset.sizes]
        return Part(subset.resized, subset.items, features, rows, center_biases, self.ranks.device)

    @stage
    def uniform(
        self,
        settings: Uniform,
        size: Size,
        trained_on: Data,
        kind: str,
        made_by: RecipeSettings,
        prior: Prior,
        store: str,
    ) -> UniformPart:
        """Uniform images of `size` (H, W), with the centre bias that the model receives for new images."""
        images = UniformImages(levels(settings), size)
        features = open_store(images, self.recipe(made_by), Path(store) / "features", self.ranks)
        center_bias = self.center_bias(trained_on, kind, made_by.map_factor, prior).map(size)
        return UniformPart(features, size, center_bias, self.ranks.device)


class Study:
    """Everything that a run reads. What is asked for is made then, or taken from what other studies have made."""

    def __init__(self, config: Config, stages: Stages) -> None:
        self.config, self.ranks, self._stages = config, stages.ranks, stages
        # their absence is said at once, before hours of work
        for settings in (config.data, *config.ood.values()):
            settings.require()

    @cached_property
    def data(self) -> Resized:
        """The data set that is trained and validated on."""
        return self._stages.data(self.config.data)

    @cached_property
    def center_bias(self) -> CenterBias:
        """The centre bias that the model receives for new images."""
        kind, made_with, prior, _ = self._with
        return self._stages.center_bias(self.config.data, kind, made_with.map_factor, prior)

    @property
    def landscape(self) -> Size:
        """The (H, W) in which bias maps are reported."""
        return self.config.data.short_side_px, self.config.data.long_side_px

    @cached_property
    def sizes(self) -> list[Size]:
        """(H, W) at which bias maps are made, the landscape first: those of the images, unless they have any shape."""
        if self.config.data.geometry == "degrees":
            return [self.landscape]
        used = {*self._stages.subset(self.config.data, "all").sizes}
        return [self.landscape, *sorted(used - {self.landscape})]

    @cached_property
    def recipe(self) -> Recipe:
        """How features come from images."""
        return self._stages.recipe(self._made_by)

    @cached_property
    def training(self) -> Part:
        """The images that are trained on."""
        return self._part(self.config.data, "training")

    @cached_property
    def validation(self) -> Part:
        """The held-out images of the same data set."""
        return self._part(self.config.data, "validation")

    def foreign(self, name: str) -> Part:
        """The images of a foreign set."""
        return self._part(self.config.ood[name], "all")

    def uniform(self, size: Size) -> UniformPart:
        """Uniform images of `size` (H, W)."""
        return self._stages.uniform(self.config.uniform, size, self.config.data, *self._with)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the data and weights that are read, so that nothing else is taken for them later."""
        return {
            "data": fingerprint(self._stages.subset(self.config.data, "all")),
            "weights": self.recipe.weights_sha256,
        }

    def _part(self, settings: Data, which: str) -> Part:
        return self._stages.part(settings, which, self.config.data, *self._with)

    @cached_property
    def _made_by(self) -> RecipeSettings:
        return recipe_settings(self.config, self.ranks.device.type)

    @property
    def _with(self) -> tuple[str, RecipeSettings, Prior, str]:
        return self.config.model.center_bias, self._made_by, self.config.prior, self.config.paths.store


def fingerprint(subset: Subset) -> str:
    """SHA-256 of the names of some images and of the fixations on them."""
    digest = hashlib.sha256()
    for name, item in zip(subset.names, subset.items, strict=True):
        own = subset.resized.of(item)
        digest.update(name.encode())
        digest.update(np.stack([own.x, own.y]).tobytes())
    return digest.hexdigest()
