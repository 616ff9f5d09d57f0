"""Everything that a run reads: data, features, priors and centre biases, made when they are first used."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import torch

from entreg.config import Config, Data, Prior
from entreg.data.fingerprint import Fingerprint, digests_of
from entreg.data.geometry import Resized
from entreg.distributed.precision import precision_of
from entreg.features.recipe import Recipe
from entreg.priors.center_bias import CenterBias
from entreg.study.pooled_split import PooledSplit
from entreg.study.split import Split, UniformInputs
from entreg.study.study_cache import RecipeSettings, StudyCache, recipe_settings_of
from entreg.study.training_sets import TrainingSets, training_sets_of, weights
from entreg.units import Size


class Study:
    """Everything that a run reads. Each item is made when it is first used, or taken from the cache.

    Raises a DataError where a data set is missing.
    """

    def __init__(self, config: Config, cache: StudyCache) -> None:
        self.config, self.ranks, self._cache = config, cache.ranks, cache
        # so that a missing data set is reported at once, and not after hours of work
        for settings in config.data_sets.values():
            settings.require()

    @cached_property
    def data(self) -> Resized:
        """The data set that is trained and validated on; of several the one that gives the size of new images."""
        return self._cache.data(self.config.data)

    @cached_property
    def center_bias(self) -> CenterBias:
        """The centre bias that the model receives for new images."""
        kind, recipe_settings, prior, *_ = self._model_inputs
        sets = self.trained_on
        return self._cache.center_bias(sets.sets, sets, kind, recipe_settings.map_factor, prior)

    @property
    def landscape(self) -> Size:
        """The size (H, W) of the bias maps that are reported."""
        return self.config.data.short_side_px, self.config.data.long_side_px

    @cached_property
    def sizes(self) -> list[Size]:
        """The sizes (H, W) of the bias maps, the landscape first: those of the images, unless geometry=degrees."""
        if self.keeps_shapes:
            return [self.landscape]
        used = {size for settings in self.trained_on.sets for size in self._cache.subset(settings, "all").sizes}
        return [self.landscape, *sorted(used - {self.landscape})]

    @property
    def keeps_shapes(self) -> bool:
        """Whether images have any shape, so that there cannot be uniform images of each."""
        return any(settings.geometry == "degrees" for settings in self.trained_on.sets)

    @cached_property
    def trained_on(self) -> TrainingSets:
        """The data sets that are trained and validated on."""
        return training_sets_of(self.config)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe by which features are computed from images."""
        return self._cache.recipe(self._recipe_settings)

    @cached_property
    def training(self) -> PooledSplit:
        """The images that are trained on."""
        return self._pooled("training")

    @cached_property
    def validation(self) -> PooledSplit:
        """The validation images of the same data sets."""
        return self._pooled("validation")

    def foreign(self, name: str) -> Split:
        """Return the images of a foreign set."""
        return self.not_learned(self.config.ood[name])

    def not_learned(self, settings: Data) -> Split:
        """Return the images of a set that the run does not learn from."""
        return self._split(settings, "all")

    def uniform(self, size: Size) -> UniformInputs:
        """Return the uniform images of `size` (H, W)."""
        return self._cache.uniform(self.config.uniform, size, self.trained_on, *self._model_inputs)

    @cached_property
    def data_fingerprint(self) -> str:
        """The SHA-256 of the images that are trained and validated on, and of the fixations on them."""
        digests = self.set_fingerprints
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    @property
    def set_fingerprints(self) -> list[str]:
        """The SHA-256 of each set that is trained and validated on, see `data_fingerprint`."""
        return [self._cache.subset(settings, "all").fingerprint() for settings in self.trained_on.sets]

    @cached_property
    def sets(self) -> dict[str, Fingerprint]:
        """The fingerprint of each data set by its key, see `Config.data_sets`."""
        return {key: self._cache.fingerprint(of_set) for key, of_set in self.config.data_sets.items()}

    def images_by_set(self) -> dict[str, dict[str, Any]]:
        """Return, by set, how many images are trained and validated on, and which left, see `StudyCache.twins`."""
        twins = self._cache.twins(self.trained_on)
        return {
            name: {"training": len(part), "validation": len(self.validation.parts[name]), "twins": twins[name]}
            for name, part in self.training.parts.items()
        }

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The digests of the data and weights that are read, by which others are recognised later."""
        return {"data": self.data_fingerprint, "weights": self.recipe.weights_sha256} | digests_of(self.sets)

    def _pooled(self, which: str) -> PooledSplit:
        parts = {settings.name: self._split(settings, which) for settings in self.trained_on.sets}
        return PooledSplit(parts, weights({name: len(part) for name, part in parts.items()}, self.config.sets_weight))

    def _split(self, settings: Data, which: str) -> Split:
        return self._cache.split(settings, which, self.trained_on, *self._model_inputs)

    @cached_property
    def _recipe_settings(self) -> RecipeSettings:
        return recipe_settings_of(self.config, self.ranks.device.type)

    @property
    def _model_inputs(self) -> tuple[str, RecipeSettings, Prior, str, torch.dtype]:
        config = self.config
        precision = precision_of(config.hardware, self.ranks.device.type)
        return config.model.center_bias, self._recipe_settings, config.prior, config.paths.store, precision
