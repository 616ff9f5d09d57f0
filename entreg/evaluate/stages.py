"""What an evaluation makes once for all of its runs."""

from __future__ import annotations

from pathlib import Path

from entreg.config import Data, Prior
from entreg.data.geometry import Photos
from entreg.evaluate.domain import Domain
from entreg.evaluate.published import is_mit1003
from entreg.evaluate.seen import Looks, looks, same_or_nearly
from entreg.evaluate.target import Target, target_of
from entreg.features.build import fingerprint, open_store
from entreg.features.store import FeatureStore
from entreg.study.part import Subset
from entreg.study.study import RecipeSettings, Stages, stage


class JudgedStages(Stages):
    """The stages of studies, and what an evaluation adds: made once for all runs that agree in their settings."""

    def features_of(
        self, settings: Data, which: str, made_by: RecipeSettings, store: str
    ) -> tuple[FeatureStore, list[int]]:
        """The training's own store where there is one; else one of the judged images alone, which is built."""
        photos = Photos(self.data(settings), self.items(settings))
        if (Path(store) / "features" / fingerprint(photos, self.recipe(made_by))).is_dir():
            return super().features_of(settings, which, made_by, store)
        return self._judged_features(settings, which, made_by, store), list(range(len(self.subset(settings, which))))

    @stage
    def _judged_features(self, settings: Data, which: str, made_by: RecipeSettings, store: str) -> FeatureStore:
        subset = self.subset(settings, which)
        return open_store(
            Photos(subset.resized, subset.items), self.recipe(made_by), Path(store) / "features", self.ranks
        )

    @stage
    def domain(self, settings: Data, which: str, prior: Prior, left_out: tuple[str, ...] = ()) -> Domain:
        """Judged images with their priors; which: see `Stages.rows`; left_out: names of images that are not judged."""
        subset = self.subset(settings, which)
        if left_out:
            kept = [item for item, name in zip(subset.items, subset.names, strict=True) if name not in left_out]
            subset = Subset(subset.resized, kept)
        return Domain(subset, settings, prior)

    @stage
    def seen(self, settings: Data, which: str, trained_on: Data) -> dict[str, str]:
        """By name the judged images that were trained on, or nearly, each with the training image's name."""
        trained = self.subset(trained_on, "training")
        numbers = same_or_nearly(self._looks(settings, which), self._looks(trained_on, "training"))
        pairs = zip(self.subset(settings, which).names, numbers, strict=True)
        return {name: trained.names[number] for name, number in pairs if number is not None}

    @stage
    def seen_elsewhere(self, settings: Data, which: str, stimuli: tuple[Path, ...]) -> dict[str, str]:
        """By name the judged images that are MIT1003's, or nearly, on which the published models were trained.

        stimuli: MIT1003's images; none where they are not at hand, and then what a set is called alone tells it
        """
        names = self.subset(settings, which).names
        if is_mit1003(settings):
            return dict.fromkeys(names, "MIT1003's own")
        if not stimuli:
            return {}
        numbers = same_or_nearly(self._looks(settings, which), looks(stimuli))
        return {
            name: f"MIT1003's {stimuli[number].name}"
            for name, number in zip(names, numbers, strict=True)
            if number is not None
        }

    @stage
    def target(
        self, settings: Data, prior: Prior, left_out: tuple[str, ...], map_factor: int, seed: int
    ) -> Target | None:
        """A foreign set as models are adapted to it, see `target_of`."""
        return target_of(self.domain(settings, "all", prior, left_out), map_factor, seed)

    @stage
    def _looks(self, settings: Data, which: str) -> Looks:
        return looks([stimulus.path for stimulus in self.subset(settings, which).stimuli])
