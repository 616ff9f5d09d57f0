"""What an evaluation computes once for all runs that agree in their settings."""

from __future__ import annotations

from pathlib import Path

from entreg.config import Data, Prior
from entreg.data.leakage import matches
from entreg.evaluation.adaptation_data import AdaptationData, adaptation_data_of
from entreg.evaluation.domain import Domain
from entreg.evaluation.published_arm import was_seen
from entreg.features.store import FeatureStore
from entreg.features.store_builder import find, open_store
from entreg.study.split import ImageSubset
from entreg.study.study_cache import RecipeSettings, StudyCache, cached_stage
from entreg.study.training_sets import TrainingSets


class EvaluationCache(StudyCache):
    """The stages of studies, and those that an evaluation adds."""

    def features_of(
        self, settings: Data, which: str, recipe_settings: RecipeSettings, store: str
    ) -> tuple[FeatureStore, list[int]]:
        """Return the training's store where it exists; else build one of the evaluated images alone."""
        photos = self.photos(settings, self.items(settings))
        if find(photos, self.recipe(recipe_settings), Path(store) / "features") is not None:
            return super().features_of(settings, which, recipe_settings, store)
        return self._evaluated_features(settings, which, recipe_settings, store), list(
            range(len(self.subset(settings, which)))
        )

    @cached_stage
    def _evaluated_features(
        self, settings: Data, which: str, recipe_settings: RecipeSettings, store: str
    ) -> FeatureStore:
        subset = self.subset(settings, which)
        photos = self.photos(settings, subset.items)
        return open_store(photos, self.recipe(recipe_settings), Path(store) / "features", self.ranks)

    @cached_stage
    def domain(self, settings: Data, which: str, prior: Prior, left_out: tuple[str, ...] = ()) -> Domain:
        """Return the images that are evaluated, with their priors.

        which: see `StudyCache.rows`; left_out: the names of images that are not evaluated
        """
        subset = self.subset(settings, which)
        if left_out:
            items = [item for item, name in zip(subset.items, subset.names, strict=True) if name not in left_out]
            subset = ImageSubset(subset.resized, items)
        return Domain(subset, settings, prior)

    @cached_stage
    def seen(self, settings: Data, which: str, trained_on: TrainingSets) -> dict[str, str]:
        """Return the images that were trained on, or nearly, by name, with the name of the training image."""
        hashes = self.image_hashes(settings).at(self.rows(settings, which))
        found: dict[str, str] = {}
        for of_set in trained_on.sets:
            trained = self.image_hashes(of_set).at(self.training_rows(trained_on)[of_set.name])
            names = self.training_subset(of_set, trained_on).names
            pairs = zip(self.subset(settings, which).names, matches(hashes, trained), strict=True)
            found |= {name: names[number] for name, number in pairs if number is not None}
        return found

    @cached_stage
    def seen_elsewhere(self, settings: Data, which: str, stimuli: tuple[Path, ...]) -> dict[str, str]:
        """Return the images that are MIT1003's, or nearly, by name: the published models were trained on MIT1003.

        stimuli: MIT1003's images; without them, only the data set's name tells
        """
        names = self.subset(settings, which).names
        if was_seen(settings):
            return dict.fromkeys(names, "MIT1003's own")
        if not stimuli:
            return {}
        hashes = self.image_hashes(settings).at(self.rows(settings, which))
        numbers = matches(hashes, self.hashes.of(stimuli))
        return {
            name: f"MIT1003's {stimuli[number].name}"
            for name, number in zip(names, numbers, strict=True)
            if number is not None
        }

    @cached_stage
    def adaptation_data(
        self, settings: Data, prior: Prior, left_out: tuple[str, ...], map_factor: int, seed: int
    ) -> AdaptationData | None:
        """Return a foreign set as models are adapted to it, see `adaptation_data_of`."""
        return adaptation_data_of(self.domain(settings, "all", prior, left_out), map_factor, seed)

    def forget_adaptation_data(self) -> None:
        """Forget what models were adapted by, which nothing else needs: of millions of fixations, hundreds of MB."""
        for key in [key for key in self.made if key[0] == "adaptation_data"]:
            del self.made[key]
