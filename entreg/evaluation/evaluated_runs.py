"""The runs that are evaluated with the images that each is evaluated on; runs that cannot be compared are refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from entreg.config import Data
from entreg.data.geometry import Resized
from entreg.data.splits import chosen
from entreg.errors import UserError
from entreg.evaluation.adaptation_data import FEWEST_IMAGES, AdaptationData
from entreg.evaluation.arms import Arm
from entreg.evaluation.domain import ENOUGH_FOR_A_KDE, ENOUGH_FOR_AN_INTERVAL, Domain
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.judged_sets import JudgedSets
from entreg.evaluation.published_arm import descends, stimuli
from entreg.evaluation.scores import Model
from entreg.model.deepgaze3 import DeepGaze3
from entreg.results.schema import (
    FOLDS,
    FOREIGN,
    IN_DOMAIN,
    LEFT_OUT,
    EvaluatedData,
    ImageCounts,
    RowCounts,
    is_foreign,
)
from entreg.study.finished_run import FinishedRun, final_model
from entreg.study.split import Split
from entreg.study.study import Study
from entreg.study.training_sets import training_sets_of

log = logging.getLogger(__name__)

Images = dict[str, tuple[str, list[str]]]  # by domain, the name of the data set and the names of the images


@dataclass(frozen=True)
class LoadedRun:
    """A run with its final model and the study from which it reads its images.

    own: by the name of a set that has numbers of its own, the model with these; `model` is that of the average set
    """

    run: FinishedRun
    study: Study
    model: Model
    own: Mapping[str, DeepGaze3]

    def model_in(self, domain: str) -> Model:
        """Return the model that predicts the images of a domain: for a foreign one that of the average set."""
        return self.model if is_foreign(domain) else self.own.get(domain.partition(".")[2], self.model)


class EvaluatedRuns:
    """The runs of some arms with their studies, and the domains that they are evaluated on.

    arms: those that are compared; beside: those of the same settings that learned from other sets
    seen: by domain, the images that any of the runs was trained on, or nearly, with the training image; these are left
        out for all arms alike
    in_domain: the names of the domains of the sets that were trained on
    domains: by `in_domain` (of several sets `in_domain.NAME`), `left_out.NAME` or `ood.NAME`, the domain of the first
        run that is judged there. Those of every other run hold the same images, except `in_domain` in a
        cross-validation, where each fold has its own.
    every_domain: these, and those where only the runs beside are judged, such as `folds.NAME`, the held-out images of a
        cross-validation beside runs that learned from other sets
    """

    def __init__(self, arms: Sequence[Arm], cache: EvaluationCache, seed: int, accept: Sequence[str] = ()) -> None:
        """Open the studies of all runs before any is evaluated.

        Raises a UserError where the runs cannot be compared, or their data changed since the training.

        seed: that of the folds for adaptations; accept: kinds of changes of data that are accepted
        """
        self.arms = [arm for arm in arms if arm.row_of is None]
        self.beside = [arm for arm in arms if arm.row_of is not None]
        self.cache, self._seed = cache, seed
        self._runs = [run for arm in self.every_arm for run in arm.runs]
        self._firsts = {_held_out(run): run for run in reversed(self._runs)}
        self._studies = {run.folder: Study(run.config, cache) for run in self._runs}
        self.history = JudgedSets([(run, self._studies[run.folder]) for run in self._runs], accept)
        self._refuse_other_images()
        names = sorted(dict.fromkeys(name for run in self._runs for name in _names(run)), key=_order)
        self.seen = {name: self._seen(name) for name in names}
        self.every_domain = {name: self.domain(self.judging(self._runs, name)[0], name) for name in names}
        compared = {name for arm in self.arms for run in arm.runs for name in _names(run) if not name.startswith(FOLDS)}
        self.domains = {name: domain for name, domain in self.every_domain.items() if name in compared}
        self.in_domain = [name for name in self.domains if not is_foreign(name)]

    @property
    def every_arm(self) -> list[Arm]:
        """The arms that are compared, then those beside them."""
        return [*self.arms, *self.beside]

    def __len__(self) -> int:
        return len(self._runs)

    def load(self, run: FinishedRun) -> LoadedRun:
        """Return the run with its final model, or with the published one.

        Raises a DataError where the parameters do not fit the model.
        """
        study = self._studies[run.folder]
        model = load_model(run, study)
        return LoadedRun(run, study, model, model.of_each_set() if isinstance(model, DeepGaze3) else {})

    def judging(self, runs: Sequence[FinishedRun], name: str) -> list[FinishedRun]:
        """Return those of some runs that are judged in a domain: on a set that was left out, one of each training."""
        return [run for run in runs if name in _names(run)]

    def domain(self, run: FinishedRun, name: str) -> Domain:
        """Return the domain of this name that the run is evaluated on."""
        settings, which = _images_of(run, name)
        return self.cache.domain(settings, which, run.config.prior, tuple(self.seen[name]))

    def domains_of_folds(self, name: str) -> list[Domain]:
        """Return the domains of this name: a cross-validation has one for each fold in domain, else there is one."""
        domains = (self.domain(run, name) for run in self.judging([*self._firsts.values()], name))
        return list({id(domain): domain for domain in domains}.values())

    def adaptation_data(self, run: FinishedRun, name: str) -> AdaptationData | None:
        """Return a foreign domain as the run is adapted to it; None where it has too few images."""
        settings, _ = _images_of(run, name)
        config = run.config
        return self.cache.adaptation_data(
            settings, config.prior, tuple(self.seen[name]), config.model.saliency_map_factor, self._seed
        )

    def split(self, loaded: LoadedRun, name: str) -> Split:
        """Return the images of a domain as the run's model reads them."""
        study = loaded.study
        settings, _ = _images_of(loaded.run, name)
        split = study.not_learned(settings) if is_foreign(name) else study.validation.parts[settings.name]
        return split.without(self.seen[name]) if self.seen[name] else split

    def training_images(self, run: FinishedRun) -> int:
        """Return the number of images that a run learned from."""
        return sum(map(len, self.cache.training_rows(training_sets_of(run.config)).values()))

    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprints of everything that was read; several, separated by commas, where runs differ."""
        each = [study.fingerprints | {"features": study.validation.stores} for study in self._studies.values()]
        keys = dict.fromkeys(key for of_run in each for key in of_run)
        return {key: ", ".join(dict.fromkeys(of_run[key] for of_run in each if key in of_run)) for key in keys}

    def data(self) -> dict[str, EvaluatedData]:
        """Return the description of each domain's images."""
        return {name: self._data(name) for name in self.domains}

    def _data(self, name: str) -> EvaluatedData:
        domain, gold = self.domains[name], self.domains[name].gold
        counts = [of_fold.subset.counts for of_fold in self.domains_of_folds(name)]
        n_images = sum(map(len, counts))
        why_no_ladder = None
        if is_foreign(name) and len(domain.subset) < FEWEST_IMAGES:
            why_no_ladder = (
                f"{len(domain.subset)} images are too few to adapt a model to the set (at least {FEWEST_IMAGES})"
            )
        return EvaluatedData(
            domain.settings.name,
            n_images,
            int(sum(count.sum() for count in counts)),
            domain.kde_images,
            None if gold is None else {"bandwidth": gold.bandwidth, "weights": [float(w) for w in gold.weights]},
            self.seen[name],
            why_no_ladder,
            domain.subset.resized.geometry.in_words(),
            few_images=n_images < ENOUGH_FOR_AN_INTERVAL,
            few_kde_images=domain.kde_images < ENOUGH_FOR_A_KDE,
            rows=_rows(domain.subset.resized),
            identity=self.history.identity(self._key(name)),
            synthetic=domain.settings.embedded,
            images=self._image_counts(name),
        )

    def _key(self, name: str) -> str:
        """Return the key of a domain's data set, see `Config.data_sets`."""
        if name.startswith(f"{FOREIGN}."):
            return name
        key = f"sets.{self.domains[name].settings.name}"
        return key if key in self.history.now else "data"

    def _image_counts(self, name: str) -> ImageCounts:
        """Return what became of the images of a domain's data set."""
        run = self.judging(self._runs, name)[0]
        settings, _ = _images_of(run, name)
        stored, used = len(self.cache.data(settings)), len(self.cache.items(settings))
        trained_on = self.cache.training_rows(training_sets_of(run.config)) if not is_foreign(name) else {}
        return ImageCounts(stored, len(chosen(stored, settings)) - used, used, len(trained_on.get(settings.name, ())))

    def _refuse_other_images(self) -> None:
        """Raise a UserError unless all runs are evaluated on the same images."""
        by_domain: dict[tuple[str, int], FinishedRun] = {}
        for run in self._runs:
            first, images = self._firsts[_held_out(run)], self._images(run)
            self._refuse_others(run, images, first, self._images(first))
            for name in images:  # runs that learned from other sets have some domains in common
                fold = run.config.data.fold if name == IN_DOMAIN or name.startswith(FOLDS) else 0
                other = by_domain.setdefault((name, fold), run)
                self._refuse_others(run, {name: images[name]}, other, {name: self._images(other)[name]})

    @staticmethod
    def _refuse_others(run: FinishedRun, images: Images, other: FinishedRun, other_images: Images) -> None:
        if images != other_images:
            raise UserError(
                f"{run.folder} is evaluated on other images than {other.folder}, so they cannot be compared:\n"
                f"  {_in_words(images)}; there: {_in_words(other_images)}\n"
                "  evaluate them separately               runs=FOLDER\n"
                "  evaluate both on the same foreign sets ood=[NAME,...]"
            )

    def _seen(self, name: str) -> dict[str, str]:
        """Return the images of a domain that any of the runs was trained on, or nearly, with the training image.

        Raises a UserError where these are all images of the domain.
        """
        seen: dict[str, str] = {}
        for run in self.judging(self._runs, name):
            settings, which = _images_of(run, name)
            seen |= self.cache.seen(settings, which, training_sets_of(run.config))
            if descends(run):
                seen |= self.cache.seen_elsewhere(settings, which, tuple(stimuli(run.config)))
        firsts = self.judging([*self._firsts.values()], name)
        if len(seen) == len({image for run in firsts for image in self._images(run)[name][1]}):
            raise UserError(
                f"{name}: the models were trained on all images of {settings.name}, or nearly, so that none is left to "
                "evaluate them on"
            )
        if seen:
            pairs = ", ".join(f"{image} (as {trained})" for image, trained in seen.items())
            log.warning("%s: left out, since the models were trained on these images or nearly: %s", name, pairs)
        return seen

    def _images(self, run: FinishedRun) -> Images:
        """Return, by domain, the name of the data set and the names of the images."""
        images = {}
        for name in _names(run):
            settings, which = _images_of(run, name)
            images[name] = settings.name, self.cache.subset(settings, which).names
        return images


def load_model(run: FinishedRun, study: Study) -> Model:
    """Return the run's final model, or the published one, on the study's device."""
    model = run.fixed.eval() if run.fixed is not None else final_model(run, study.recipe.channels)
    return model.to(study.ranks.device)


def _names(run: FinishedRun) -> list[str]:
    """Return the names of the domains that the run is evaluated on."""
    folds = [f"{FOLDS}.{run.trained_on[0]}"] if run.in_folds else []
    if folds and not run.not_learned:
        return folds
    several = len(run.config.sets) > 1 or run.left_out
    names = [f"{IN_DOMAIN}.{name}" if several else IN_DOMAIN for name in run.trained_on]
    left_out = [f"{LEFT_OUT}.{name}" for name in run.left_out]
    return [*names, *left_out, *(f"{FOREIGN}.{name}" for name in run.config.ood), *folds]


def _order(name: str) -> tuple[int, str]:
    """Return the place of a domain: in domain, sets that were left out, foreign ones in their order, folds."""
    kind, _, of_set = name.partition(".")
    return (IN_DOMAIN, LEFT_OUT, FOREIGN, FOLDS).index(kind), "" if kind == FOREIGN else of_set


def _held_out(run: FinishedRun) -> tuple[Any, ...]:
    """Return what a run did not learn from, the fold and the sets that were left out, and the sets that judge it."""
    rest = (run.trained_on, run.in_folds) if run.not_learned or run.in_folds else ()
    return run.config.data.fold, tuple(run.left_out), *rest


def _images_of(run: FinishedRun, name: str) -> tuple[Data, str]:
    """Return the settings of a domain's data set and which of its images are evaluated, see `StudyCache.rows`."""
    if name == IN_DOMAIN:
        return training_sets_of(run.config).sets[0], "validation"
    kind, _, of_set = name.partition(".")
    if kind == LEFT_OUT:
        return run.left_out[of_set], "all"
    if kind != FOREIGN:
        return next(settings for settings in training_sets_of(run.config).sets if settings.name == of_set), "validation"
    return run.config.ood[name.removeprefix(f"{FOREIGN}.")], "all"


def _rows(resized: Resized) -> RowCounts:
    """Return what became of the fixations of a data set."""
    dataset, cut_off = resized.dataset, {"outside the crop": resized.n_outside} if resized.n_outside else {}
    return RowCounts(dataset.rows_read, len(resized.fixations), dataset.dropped | cut_off, list(dataset.accepted))


def _in_words(images: Images) -> str:
    return ", ".join(f"{len(names)} images of {data}, the first is {names[0]}" for data, names in images.values())
