"""Score runs, adapt them to the foreign sets and make their bias maps."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from entreg.distributed.hardware import return_freed_memory
from entreg.distributed.threads import in_threads
from entreg.evaluation import scores
from entreg.evaluation.adaptation import ADAPTED, Adapted, adapt
from entreg.evaluation.adaptation_data import AdaptationData
from entreg.evaluation.arms import Arm
from entreg.evaluation.bias_map import BiasMaps, bias_maps_of
from entreg.evaluation.domain import Domain
from entreg.evaluation.evaluated_runs import EvaluatedRuns, LoadedRun
from entreg.evaluation.evidence import Evidence
from entreg.evaluation.matrix_rows import Judged
from entreg.evaluation.metrics import OVER_KDE, PRIMARY
from entreg.evaluation.scores import Rows, Scored
from entreg.model import step_library
from entreg.model.deepgaze3 import DeepGaze3
from entreg.progress import Progress
from entreg.results.schema import is_foreign
from entreg.study.split import Split
from entreg.units import BITS_PER_NAT, Size

log = logging.getLogger(__name__)


class Evaluator:
    """Everything that is computed from the models of some runs.

    loaded: by arm, for each run, also of the arms beside; bias_maps: by arm that is compared, for each run
    scored, adapted: by arm, then by domain, for each run that is judged there, see `EvaluatedRuns.judging`; an arm or
        domain that cannot be adapted has no key
    """

    def __init__(self, runs: EvaluatedRuns) -> None:
        self.runs = runs
        names = [arm.name for arm in runs.every_arm]
        self.loaded: dict[str, list[LoadedRun]] = {}
        self.scored: dict[str, dict[str, list[Scored]]] = {name: {} for name in names}
        self.adapted: dict[str, dict[str, list[Adapted]]] = {name: {} for name in names}
        self.bias_maps: dict[str, list[dict[Size, BiasMaps]]] = {}

    def evaluate(self) -> None:
        """Score every run in every domain, adapt it to the foreign sets, and make its bias maps.

        Raises Stopped where the process was asked to stop.
        """
        for arm in self.runs.every_arm:
            self.runs.cache.ranks.stop_if_asked()
            self.loaded[arm.name] = [self.runs.load(run) for run in arm.runs]
        for arm in self.runs.arms:
            self.runs.cache.ranks.stop_if_asked()
            self.bias_maps[arm.name] = [
                {size: bias_maps_of(loaded.model, loaded.study.uniform(size)) for size in loaded.study.sizes}
                for loaded in self.loaded[arm.name]
            ]
        for name in self.runs.every_domain:
            self._score(name)
            if is_foreign(name):
                self._adapt(name)

    def evidence(self) -> dict[str, Evidence]:
        """Return, by arm, what the results are computed from."""
        return {
            arm.name: Evidence(
                {name: self._tables(arm, name) for name in self.runs.domains},
                [len(scored.rows) for scored in self.scored[arm.name][self.runs.in_domain[0]][: arm.folds]],
                self.bias_maps[arm.name],
                self.adapted[arm.name],
                {
                    name: [_kl_bits(self.runs.domains[name], of_run) for of_run in scored]
                    for name, scored in self.scored[arm.name].items()
                    if is_foreign(name) and name in self.runs.domains
                },
                {of_set: self._by_set_left_out(arm, of_set) for of_set in arm.left_out},
            )
            for arm in self.runs.arms
        }

    def table(self) -> list[dict[str, Any]]:
        """Return the rows of per_image.csv: arm, seed, domain and run, then the run's scores of the image."""
        return [
            {
                "arm": arm.name,
                "seed": None if arm.is_fixed else run.config.seed,
                "domain": domain,
                "run": str(run.folder),
            }
            | row
            | self._adapted_to(arm, domain, number, i)
            for arm in self.runs.every_arm
            for domain, scored in self.scored[arm.name].items()
            for number, (run, of_run) in enumerate(zip(self.runs.judging(arm.runs, domain), scored, strict=True))
            for i, row in enumerate(of_run.rows)
        ]

    def judged(self) -> dict[str, list[Judged]]:
        """Return by arm what each of its runs scores in each domain, also those that learned from other sets."""
        found: dict[str, list[Judged]] = {}
        for arm in self.runs.every_arm:
            for domain, scored in self.scored[arm.name].items():
                adapted = self.adapted[arm.name].get(domain, [None] * len(scored))
                runs = self.runs.judging(arm.runs, domain)
                for run, of_run, fitted in zip(runs, scored, adapted, strict=True):
                    values = {key: np.array([row[key] for row in of_run.rows]) for key in (PRIMARY, OVER_KDE)}
                    judged = Judged(
                        str(run.folder),
                        run.trained_on,
                        (run.config.seed, run.config.order_seed),
                        domain,
                        [row["image"] for row in of_run.rows],
                        values[PRIMARY],
                        None if fitted is None else fitted.ig_bits[ADAPTED],
                        values[PRIMARY] - values[OVER_KDE],
                        self.runs.training_images(run),
                    )
                    found.setdefault(arm.row_of or arm.name, []).append(judged)
        return found

    def _adapted_to(self, arm: Arm, domain: str, run: int, image: int) -> dict[str, float]:
        """Return the IG (bit/fixation) of an image by what a run was adapted to; nothing where it was not adapted."""
        adapted = self.adapted[arm.name].get(domain)
        if adapted is None:
            return {}
        return {
            f"ig_adapted_{'+'.join(subset) or 'none'}": float(values[image])
            for subset, values in adapted[run].ig_bits.items()
        }

    def _score(self, name: str) -> None:
        """Score all runs in a domain.

        Runs are scored together where they have the same priors and images, and maps of the same size, since maps of
        another size need other centre biases.
        """
        groups: dict[tuple[int, int], list[LoadedRun]] = {}
        for loaded in self._all_loaded(name):
            key = id(self.runs.domain(loaded.run, name)), loaded.run.config.model.saliency_map_factor
            groups.setdefault(key, []).append(loaded)
        by_folder: dict[str, Scored] = {}
        for group in groups.values():
            domain = self.runs.domain(group[0].run, name)
            step = group[0].run.config.model.saliency_map_factor if is_foreign(name) else None
            models = [(loaded.model_in(name), self.runs.split(loaded, name)) for loaded in group]
            with Progress(f"scoring on {domain.settings.name}", len(domain.subset), "image") as progress:

                def after_image(progress: Progress = progress) -> None:
                    self.runs.cache.ranks.stop_if_asked()
                    progress.step()

                scored = scores.score(models, domain, step=step, after_image=after_image)
            by_folder |= {str(loaded.run.folder): of_run for loaded, of_run in zip(group, scored, strict=True)}
        for arm in self.runs.every_arm:
            self.scored[arm.name][name] = [by_folder[str(run.folder)] for run in self.runs.judging(arm.runs, name)]
        images = sum(len(domain.subset) for domain in self.runs.domains_of_folds(name))
        log.info(
            "scored %d runs on %d images of %s", len(by_folder), images, self.runs.every_domain[name].settings.name
        )

    def _adapt(self, name: str) -> None:
        """Adapt all models to a foreign domain, except mixtures, which do not have three numbers to adapt."""
        work = [
            (loaded.model, self.runs.split(loaded, name), data, step_library.for_evaluation(loaded.run.config.hardware))
            for loaded in self._all_loaded(name)
            if isinstance(loaded.model, DeepGaze3) and (data := self.runs.adaptation_data(loaded.run, name)) is not None
        ]
        if not work:
            return
        return_freed_memory()  # of millions of fixations, scores and adaptation data leave a gigabyte

        def adapt_one(arguments: tuple[DeepGaze3, Split, AdaptationData, str]) -> Adapted:
            self.runs.cache.ranks.stop_if_asked()
            return adapt(*arguments)

        data_name = self.runs.every_domain[name].settings.name
        results = []
        with Progress(f"adapting to {data_name}", len(work), "run") as progress:
            for adapted in in_threads(adapt_one, work):
                results.append(adapted)
                progress.step()
        remaining = iter(results)
        for arm in self.runs.every_arm:
            loaded = self.loaded_in(arm, name)
            if loaded and all(isinstance(one.model, DeepGaze3) for one in loaded):
                self.adapted[arm.name][name] = [next(remaining) for _ in loaded]
        versions = ", ".join(dict.fromkeys(step_library.description(version) for *_, version in work))
        log.info("adapted %d runs to %s; sums over pixels are computed by %s", len(work), data_name, versions)
        self.runs.cache.forget_adaptation_data()

    def loaded_in(self, arm: Arm, name: str) -> list[LoadedRun]:
        """Return those of an arm's runs that are judged in a domain."""
        judging = {run.folder for run in self.runs.judging(arm.runs, name)}
        return [loaded for loaded in self.loaded[arm.name] if loaded.run.folder in judging]

    def _all_loaded(self, name: str) -> list[LoadedRun]:
        return [loaded for arm in self.runs.every_arm for loaded in self.loaded_in(arm, name)]

    def _by_set_left_out(self, arm: Arm, of_set: str) -> dict[str, float]:
        """Return by domain the mean IG (bit/fixation) of the runs that left a set out."""
        values: dict[str, list[float]] = {}
        for name, scored in self.scored[arm.name].items():
            for run, of_run in zip(self.runs.judging(arm.runs, name), scored, strict=True):
                if of_set in run.left_out and name in self.runs.domains:
                    values.setdefault(name, []).extend(float(row[PRIMARY]) for row in of_run.rows)
        return {name: float(np.mean(of_domain)) for name, of_domain in values.items()}

    def _tables(self, arm: Arm, name: str) -> list[Rows]:
        """Return a table for each training.

        For a cross-validation it holds the held-out images of all folds in domain, and the mean over folds on a foreign
        set. Where sets were left out, it holds the mean over the runs that are judged.
        """
        tables = [scored.rows for scored in self.scored[arm.name][name]]
        runs = len(tables) // max(len(arm.replicates), 1)
        trainings = [tables[i : i + runs] for i in range(0, len(tables), runs)]
        if not is_foreign(name) and not arm.left_out:
            return [[row for table in folds for row in table] for folds in trainings]
        return [scores.averaged(folds) for folds in trainings]


def most_frequent_size(domain: Domain) -> Size:
    """Return the (H, W) that most of the domain's images have."""
    sizes = domain.subset.sizes
    return max(sorted(set(sizes)), key=sizes.count)


def _kl_bits(domain: Domain, scored: Scored) -> float:
    """Return KL(KDE of the set's fixations || mean predicted density) at the set's most frequent size, in bits."""
    size = most_frequent_size(domain)
    truth = domain.kde_map(size).astype(np.float64)
    mean = scored.mean_density[size].full()[0].double().numpy()
    return float((np.exp(truth) * (truth - mean)).sum() * BITS_PER_NAT)
