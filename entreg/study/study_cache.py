"""What studies share: data, features, priors and centre biases, each made once for the settings that it depends on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import torch

from entreg.config import Backbone, Config, Data, Prior, Uniform
from entreg.data import sources, splits
from entreg.data.dataset import DataSet, Stimulus
from entreg.data.fingerprint import Fingerprint, fingerprint_of
from entreg.data.geometry import Photos, Resized, resize, shape_of
from entreg.data.image_hashes import KnownHashes
from entreg.data.leakage import ImageHashes, matches
from entreg.data.uniform_images import UniformImages, levels
from entreg.distributed.precision import backbone_precision_of, convolution_of
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError
from entreg.features import weights
from entreg.features.backbone import build
from entreg.features.recipe import Recipe
from entreg.features.store import FeatureStore
from entreg.features.store_builder import open_store
from entreg.priors.center_bias import CenterBias, leave_one_out_maps
from entreg.priors.kde import FixationKde, kde_of, pooled
from entreg.study.split import ImageSubset, Split, UniformInputs
from entreg.study.training_sets import TrainingSets, drawn
from entreg.units import Size

log = logging.getLogger(__name__)

Stage = TypeVar("Stage", bound=Callable[..., Any])


def cached_stage(make: Stage) -> Stage:
    """Let a method of StudyCache make its product once for each combination of its settings."""

    @wraps(make)
    def cached(self: StudyCache, *settings: Any) -> Any:
        key = make.__name__, repr(settings)
        if key not in self.made:
            self.made[key] = make(self, *settings)
        return self.made[key]

    return cached  # type: ignore[return-value]  # it takes and returns what `make` does


@dataclass(frozen=True)
class RecipeSettings:
    """All settings that features depend on, in addition to the images."""

    backbone: Backbone
    downsample: int
    readout_factor: int
    map_factor: int
    weights_folder: str
    dtype: str
    precision: torch.dtype
    convolution: str
    allow: tuple[str, ...]


def recipe_settings_of(config: Config, kind: str) -> RecipeSettings:
    """Return the settings that features depend on, on a device of this kind (cpu or cuda)."""
    precision = backbone_precision_of(config.model.backbone, kind)
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
        tuple(config.allow),
    )


class StudyCache:
    """The stages of making a study. Studies with the same settings for a stage share its product.

    made: the product of each stage by the name of its method and the `repr` of its settings
    """

    def __init__(self, ranks: Ranks, hashes: KnownHashes | None = None) -> None:
        """Share nothing as yet.

        hashes: where those of images are looked up; by default every byte is read
        """
        self.ranks, self.hashes = ranks, hashes or KnownHashes()
        self.made: dict[tuple[str, str], Any] = {}

    @cached_stage
    def stored(self, settings: Data) -> DataSet:
        """Return the data set as its source has it, however implausible it is."""
        return sources.read(settings)

    @cached_stage
    def data(self, settings: Data) -> Resized:
        """Return the data set, resized as its settings say, and log its counts."""
        dataset = sources.plausible(self.stored(settings), settings)
        resized = resize(dataset, shape_of(settings))
        log.info("%s%s", dataset.summary(), f", {resized.n_outside} outside the crop" if resized.n_outside else "")
        for note in dataset.notes:
            log.warning("%s: %s", dataset.name, note)
        return resized

    @cached_stage
    def items(self, settings: Data) -> list[int]:
        """Return the indices of the images of a data set that are used: the chosen ones that have fixations."""
        resized = self.data(settings)
        numbers = splits.chosen(len(resized), settings)
        items = [int(i) for i in numbers if resized.counts[i] > 0]
        if len(items) < len(numbers):
            log.warning("%s: %d images without fixations are left out", settings.name, len(numbers) - len(items))
        if not items:
            raise DataError(f"{settings.name}: none of the {len(numbers)} images has fixations ({settings.root})")
        return items

    @cached_stage
    def rows(self, settings: Data, which: str) -> list[int]:
        """Return the numbers, among the images used, of those in a split: `training`, `validation` or `all`."""
        used = len(self.items(settings))
        if which == "all":
            return list(range(used))
        training, validation = splits.split(used, settings)
        rows: list[int] = {"training": training, "validation": validation}[which].tolist()
        return rows

    @cached_stage
    def subset(self, settings: Data, which: str) -> ImageSubset:
        """Return the images of a split with the fixations on them; which: see `rows`."""
        return self._subset(settings, self.rows(settings, which))

    def _subset(self, settings: Data, rows: Sequence[int]) -> ImageSubset:
        items = self.items(settings)
        return ImageSubset(self.data(settings), [items[row] for row in rows])

    @cached_stage
    def image_hashes(self, settings: Data) -> ImageHashes:
        """Return what the images of a data set that are used are recognised by."""
        found = self.hashes.of([stimulus.path for stimulus in self.subset(settings, "all").stimuli])
        self.hashes.keep()
        return found

    @cached_stage
    def twins(self, trained_on: TrainingSets) -> dict[str, dict[str, str]]:
        """Return, by set, the training images that leave since they are judged in another set, with their names there.

        Images that are nearly the same count as well. Nothing leaves for the validation images of the same set.
        """
        found: dict[str, dict[str, str]] = {}
        for settings in trained_on.sets:
            training, of_set = self.subset(settings, "training"), found.setdefault(settings.name, {})
            for other, which in trained_on.judged_beside(settings):
                names = self.subset(other, which).names
                hashes = (
                    self.image_hashes(one).at(self.rows(one, w)) for one, w in ((settings, "training"), (other, which))
                )
                for name, twin in zip(training.names, matches(*hashes), strict=True):
                    if twin is not None:
                        of_set.setdefault(name, f"{other.name}/{names[twin]}")
            if of_set:
                pairs = ", ".join(f"{name} (as {twin})" for name, twin in of_set.items())
                why = "are not trained on, since they are judged in another set"
                log.warning("%s: %d training images %s: %s", settings.name, len(of_set), why, pairs)
        return found

    @cached_stage
    def training_rows(self, trained_on: TrainingSets) -> dict[str, list[int]]:
        """Return, by set, the numbers of the images that are trained on among those used, see `rows`."""
        left, rows = self.twins(trained_on), []
        for settings in trained_on.sets:
            names = self.subset(settings, "training").names
            of_set = zip(self.rows(settings, "training"), names, strict=True)
            rows.append([row for row, name in of_set if name not in left[settings.name]])
        return dict(zip([settings.name for settings in trained_on.sets], drawn(rows, trained_on), strict=True))

    @cached_stage
    def training_subset(self, settings: Data, trained_on: TrainingSets) -> ImageSubset:
        """Return the images of a set that are trained on."""
        return self._subset(settings, self.training_rows(trained_on)[settings.name])

    @cached_stage
    def fingerprint(self, settings: Data) -> Fingerprint:
        """Return the fingerprint of a data set: of the images that are used, and of all fixations."""
        resized, items = self.data(settings), self.items(settings)
        return fingerprint_of(resized, items, self.digests([resized.dataset.stimuli[i] for i in items]), settings)

    def digests(self, stimuli: Sequence[Stimulus]) -> list[str]:
        """Return the SHA-256 of the images' files. Raises a DataError that names one that cannot be read."""
        found = self.hashes.sha256([stimulus.path for stimulus in stimuli])
        self.hashes.keep()
        return found

    def photos(self, settings: Data, items: Sequence[int]) -> Photos:
        """Return some images of a data set, from which features are computed."""
        resized = self.data(settings)
        return Photos(resized, items, self.digests([resized.dataset.stimuli[i] for i in items]))

    @cached_stage
    def recipe(self, recipe_settings: RecipeSettings) -> Recipe:
        """Return the recipe by which features are computed from images."""

        def fetch() -> None:
            wanted = recipe_settings.backbone.read_weights
            if wanted is not None:
                weights.fetched(recipe_settings.backbone.name, wanted, Path(recipe_settings.weights_folder))

        self.ranks.on_first_rank(fetch)
        return Recipe(
            build(
                recipe_settings.backbone,
                recipe_settings.downsample,
                recipe_settings.weights_folder,
                recipe_settings.allow,
            ),
            recipe_settings.readout_factor,
            recipe_settings.map_factor,
            getattr(torch, recipe_settings.dtype),
            recipe_settings.precision,
            recipe_settings.convolution,
        )

    @cached_stage
    def features(self, settings: Data, recipe_settings: RecipeSettings, store: str) -> FeatureStore:
        """Return the features of all images of a data set that are used."""
        photos = self.photos(settings, self.items(settings))
        return open_store(photos, self.recipe(recipe_settings), Path(store) / "features", self.ranks)

    def features_of(
        self, settings: Data, which: str, recipe_settings: RecipeSettings, store: str
    ) -> tuple[FeatureStore, list[int]]:
        """Return a store that holds the features of a split's images, and their numbers in it."""
        return self.features(settings, recipe_settings, store), self.rows(settings, which)

    @cached_stage
    def kde(self, settings: Data, trained_on: TrainingSets, prior: Prior) -> FixationKde:
        """Return the KDE of the fixations on a set's training images."""
        training = self.training_subset(settings, trained_on)
        return kde_of(training.resized, training.items, prior)

    @cached_stage
    def center_bias(
        self, sets: tuple[Data, ...], trained_on: TrainingSets, kind: str, map_factor: int, prior: Prior
    ) -> CenterBias:
        """Return the centre bias for new images.

        sets: those that it comes from: all that are trained on, for images of no set of these; kind: see `CenterBias`
        """
        if kind != "kde":
            return CenterBias(kind, prior, map_factor, None)
        kdes = {settings.name: self.kde(settings, trained_on, prior) for settings in sets}
        return CenterBias(kind, prior, map_factor, pooled([*kdes.values()]), kdes if len(kdes) > 1 else None)

    @cached_stage
    def split(
        self,
        settings: Data,
        which: str,
        trained_on: TrainingSets,
        kind: str,
        recipe_settings: RecipeSettings,
        prior: Prior,
        store: str,
        precision: torch.dtype,
    ) -> Split:
        """Return a split with everything that a model reads; which: see `rows`, kind: see `center_bias`.

        The centre bias of a set that is trained on is the set's own. Images of other sets get that of all sets that are
        trained on, because the model knows nothing of theirs. For a training image, the KDE leaves out the image's own
        fixations.
        """
        if which == "training":
            subset, rows = self.training_subset(settings, trained_on), self.training_rows(trained_on)[settings.name]
            features = self.features(settings, recipe_settings, store)
        else:
            subset = self.subset(settings, which)
            features, rows = self.features_of(settings, which, recipe_settings, store)
        if which == "training" and kind == "kde":
            maps = leave_one_out_maps(
                self.kde(settings, trained_on, prior),
                subset.fingerprint(),
                subset.items,
                subset.sizes,
                recipe_settings.map_factor,
                Path(store) / "center_bias",
                self.ranks,
            )
            center_biases = [torch.from_numpy(log_density) for log_density in maps]
        else:
            sets = trained_on.sets if which == "all" else (settings,)
            center_bias = self.center_bias(sets, trained_on, kind, recipe_settings.map_factor, prior)
            center_biases = [center_bias.map(size) for size in subset.sizes]
        return Split(subset.resized, subset.items, features, rows, center_biases, self.ranks.device, precision)

    @cached_stage
    def uniform(
        self,
        settings: Uniform,
        size: Size,
        trained_on: TrainingSets,
        kind: str,
        recipe_settings: RecipeSettings,
        prior: Prior,
        store: str,
        precision: torch.dtype,
    ) -> UniformInputs:
        """Return the uniform images of `size` (H, W), with the centre bias that the model receives for new images."""
        images = UniformImages(levels(settings), size)
        features = open_store(images, self.recipe(recipe_settings), Path(store) / "features", self.ranks)
        center_bias = self.center_bias(trained_on.sets, trained_on, kind, recipe_settings.map_factor, prior)
        return UniformInputs(features, size, center_bias.map(size), self.ranks.device, precision)
