"""What is found of the runs: scores, bias maps, adaptations. Runs on the same data share what needs no model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from entreg.errors import UserError
from entreg.evaluate import differences, results, scores
from entreg.evaluate.adaptation import Adapted, adapt
from entreg.evaluate.arms import Arm
from entreg.evaluate.bias_map import BiasMaps, bias_maps_of
from entreg.evaluate.domain import ENOUGH_FOR_A_KDE, ENOUGH_FOR_AN_INTERVAL, Domain
from entreg.evaluate.metrics import PRIMARY
from entreg.evaluate.published import descends, stimuli
from entreg.evaluate.results import FOREIGN, IN_DOMAIN
from entreg.evaluate.scores import Judged, Rows, Scored
from entreg.evaluate.stages import JudgedStages
from entreg.evaluate.target import FEWEST_IMAGES, Target
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.log_density import LogDensity
from entreg.numerics import BITS_PER_NAT, in_threads
from entreg.progress import Progress
from entreg.report.panels import Prediction
from entreg.study.finished import Run
from entreg.study.part import Part, Size
from entreg.study.study import Study

log = logging.getLogger(__name__)


class Judgement:
    """Everything that is found of the runs of some arms.

    domains: of the first run, by `in_domain` or `ood.NAME`; every other run's hold the same images, but for `in_domain`
        in a cross-validation, where each fold has its own
    seen: by domain, the judged images that were trained on, which are left out for all arms alike
    """

    def __init__(self, arms: Sequence[Arm], stages: JudgedStages, seed: int) -> None:
        self._arms, self._stages, self._seed = arms, stages, seed
        self._runs = [run for arm in arms for run in arm.runs]
        self._first = {run.config.data.fold: run for run in reversed(self._runs)}  # of each fold
        # opened before any is judged: what cannot be compared is said at once
        self._studies = {run.folder: self._opened(run) for run in self._runs}
        self._refuse_other_images()
        self.seen = self._seen()
        self.domains = {name: self._domain(self._runs[0], name) for name in _names(self._runs[0])}
        self._judged: dict[str, list[Judged]] = {}
        self._scored: dict[str, dict[str, list[Scored]]] = {arm.name: {} for arm in arms}
        self._adapted: dict[str, dict[str, list[Adapted]]] = {arm.name: {} for arm in arms}
        self._maps: dict[str, list[dict[Size, BiasMaps]]] = {}

    def judge(self) -> None:
        """Scores every run in every domain, adapts it to the foreign sets, and makes its bias maps."""
        for arm in self._arms:
            self._stages.ranks.stop_if_asked()
            self._judged[arm.name] = [scores.judged(run, self._studies[run.folder]) for run in arm.runs]
            self._maps[arm.name] = [
                {size: bias_maps_of(one.model, one.study.uniform(size)) for size in one.study.sizes}
                for one in self._judged[arm.name]
            ]
        for name in self.domains:
            self._score(name)
            if name != IN_DOMAIN:
                self._adapt(name)

    def evidence(self) -> dict[str, results.Evidence]:
        """By arm, what results are made of."""
        return {
            arm.name: results.Evidence(
                {name: self._tables(arm, name) for name in self.domains},
                [len(one.rows) for one in self._scored[arm.name][IN_DOMAIN][: arm.folds]],
                self._maps[arm.name],
                self._adapted[arm.name],
                {
                    name: [self._kl_bits(name, one) for one in scored]
                    for name, scored in self._scored[arm.name].items()
                    if name != IN_DOMAIN
                },
            )
            for arm in self._arms
        }

    def data(self) -> dict[str, results.JudgedData]:
        """Of each domain, what was judged on."""
        return {name: self._data(name) for name in self.domains}

    def fingerprints(self) -> dict[str, str]:
        """Of all that was read; several where runs differ."""
        studies = [
            study.fingerprints | {"features": study.validation.store.folder.name} for study in self._studies.values()
        ]
        return {key: ", ".join(dict.fromkeys(one[key] for one in studies)) for key in studies[0]}

    def table(self) -> list[dict[str, Any]]:
        """per_image.csv: arm, seed, domain, then a run's row of the image."""
        return [
            {
                "arm": arm.name,
                "seed": None if arm.is_fixed else run.config.seed,
                "domain": domain,
                "run": str(run.folder),
            }
            | row
            for arm in self._arms
            for domain, scored in self._scored[arm.name].items()
            for run, one in zip(arm.runs, scored, strict=True)
            for row in one.rows
        ]

    def bias_maps(self) -> dict[str, np.ndarray]:
        """(H, W) nats by arm: the first training's averaged bias map, centre bias included as the model includes it."""
        first = {arm: next(iter(trainings[0].values())) for arm, trainings in self._maps.items()}
        return {arm: maps.with_center_bias.full()[0].numpy() for arm, maps in first.items()}

    def mean_densities(self) -> dict[str, dict[str, np.ndarray]]:
        """By foreign domain, (H, W) nats: `fixations`, the KDE of the set's, then each arm's mean predicted density."""
        densities: dict[str, dict[str, np.ndarray]] = {}
        for name, domain in self.domains.items():
            if name == IN_DOMAIN:
                continue
            size = _most_frequent(domain)
            densities[name] = {"fixations": domain.kde.log_density(*size)}
            for arm in self._arms:
                grids = torch.stack([one.mean_density[size].grid[0] for one in self._scored[arm.name][name]])
                first = self._scored[arm.name][name][0].mean_density[size]
                densities[name][arm.name] = LogDensity(grids, first.rows, first.columns).mean().full()[0].numpy()
        return densities

    def examples(self) -> dict[str, list[tuple[str, dict[str, Prediction]]]]:
        """By domain the best, median and worst image by the baseline's IG: what every arm (first training) predicts.

        In a cross-validation those of the first fold, in domain.
        """
        by_domain: dict[str, list[tuple[str, dict[str, Prediction]]]] = {}
        for name in self.domains:
            first = self._arms[0]
            scored = self._scored[first.name][name][:: first.folds if name == IN_DOMAIN else 1]
            ig = differences.values_of([one.rows for one in scored], PRIMARY).mean(0)
            order = np.argsort(-ig, kind="stable")
            for label, i in (("best", order[0]), ("median", order[len(order) // 2]), ("worst", order[-1])):
                predictions = {arm.name: self._prediction(arm.name, name, int(i)) for arm in self._arms}
                by_domain.setdefault(name, []).append((label, predictions))
        return by_domain

    def _prediction(self, arm: str, domain: str, i: int) -> Prediction:
        first = self._judged[arm][0]
        part = self._part(first, domain)
        density = scores.predict(first.model, part, i)
        y, x = (t.numpy() for t in part.fixations[i])
        value = self._scored[arm][domain][0].rows[i][PRIMARY]
        title = f"{arm}: {value:.2f} bit/fixation".replace(": -", ": −")
        return Prediction(part.names[i], title, part.read(i), density.full()[0].numpy(), y, x)

    def _score(self, name: str) -> None:
        """Runs with other priors are judged over their own; those with other maps need other centre biases."""
        groups: dict[tuple[int, int], list[Judged]] = {}
        for one in self._all():
            key = id(self._domain(one.run, name)), one.run.config.model.saliency_map_factor
            groups.setdefault(key, []).append(one)
        found: dict[str, Scored] = {}
        for group in groups.values():
            domain = self._domain(group[0].run, name)
            step = group[0].run.config.model.saliency_map_factor if name != IN_DOMAIN else None
            models = [(one.model, self._part(one, name)) for one in group]
            with Progress(f"judging on {domain.settings.name}", len(domain.subset), "image") as progress:

                def tell(progress: Progress = progress) -> None:
                    self._stages.ranks.stop_if_asked()
                    progress.step()

                scored = scores.score(models, domain, step=step, tell=tell)
            found |= {str(one.run.folder): each for one, each in zip(group, scored, strict=True)}
        for arm in self._arms:
            self._scored[arm.name][name] = [found[str(run.folder)] for run in arm.runs]
        images = sum(len(domain.subset) for domain in self._all_of(name))
        log.info("judged %d runs on %d images of %s", len(self._runs), images, self.domains[name].settings.name)

    def _adapt(self, name: str) -> None:
        """A mixture has no three numbers of its own to adapt."""
        work = [
            (one.model, self._part(one, name), target)
            for one in self._all()
            if isinstance(one.model, DeepGaze3) and (target := self._target(one.run, name)) is not None
        ]
        if not work:
            return

        def adapted_to(model: DeepGaze3, part: Part, target: Target) -> Adapted:
            self._stages.ranks.stop_if_asked()
            return adapt(model, part, target)

        found = []
        with Progress(f"adapting to {self.domains[name].settings.name}", len(work), "run") as progress:
            for one in in_threads(lambda arguments: adapted_to(*arguments), work):
                found.append(one)
                progress.step()
        adapted = iter(found)
        for arm in self._arms:
            if all(isinstance(one.model, DeepGaze3) for one in self._judged[arm.name]):
                self._adapted[arm.name][name] = [next(adapted) for _ in arm.runs]
        log.info("adapted %d runs to %s", len(work), self.domains[name].settings.name)

    def _all(self) -> list[Judged]:
        return [one for arm in self._arms for one in self._judged[arm.name]]

    def _kl_bits(self, name: str, scored: Scored) -> float:
        """KL(KDE of the set's fixations || mean predicted density), bits, at the set's most frequent size."""
        domain = self.domains[name]
        size = _most_frequent(domain)
        truth = domain.kde.log_density(*size).astype(np.float64)
        mean = scored.mean_density[size].full()[0].double().numpy()
        return float((np.exp(truth) * (truth - mean)).sum() * BITS_PER_NAT)

    def _tables(self, arm: Arm, name: str) -> list[Rows]:
        """One for each training: of a cross-validation's folds the held-out images, or the mean on a foreign set."""
        tables = [one.rows for one in self._scored[arm.name][name]]
        trainings = [tables[i : i + arm.folds] for i in range(0, len(tables), arm.folds)]
        if name == IN_DOMAIN:
            return [[row for table in folds for row in table] for folds in trainings]
        return [scores.averaged(folds) for folds in trainings]

    def _all_of(self, name: str) -> list[Domain]:
        """The domains of this name, of which a cross-validation has one in each fold, in domain."""
        domains = (self._domain(run, name) for run in self._first.values())
        return list({id(domain): domain for domain in domains}.values())

    def _data(self, name: str) -> results.JudgedData:
        domain, gold = self.domains[name], self.domains[name].gold
        counts = [one.subset.counts for one in self._all_of(name)]
        n_images = sum(map(len, counts))
        why = None
        if name != IN_DOMAIN and self._target(self._runs[0], name) is None:
            why = f"{len(domain.subset)} images are too few to adapt a model to the set (at least {FEWEST_IMAGES})"
        return results.JudgedData(
            domain.settings.name,
            n_images,
            int(sum(count.sum() for count in counts)),
            domain.kde_images,
            None if gold is None else {"bandwidth": gold.bandwidth, "weights": [float(w) for w in gold.weights]},
            self.seen[name],
            why,
            domain.subset.resized.geometry.in_words(),
            few_images=n_images < ENOUGH_FOR_AN_INTERVAL,
            few_kde_images=domain.kde_images < ENOUGH_FOR_A_KDE,
        )

    def _opened(self, run: Run) -> Study:
        """What the run is judged on. UserError where that is not what it was trained on."""
        study = Study(run.config, self._stages)
        if run.fixed is not None:
            return study
        trained_on = run.state["fingerprints"]
        changed = [key for key in ("data", "weights") if study.fingerprints[key] != trained_on.get(key)]
        if changed:
            what = ", ".join(changed)
            raise UserError(
                f"{run.folder} was trained on other contents than are there now: {what} changed; "
                "give the folder of those it was trained on (paths.data=PATH, paths.weights=PATH)"
            )
        return study

    def _seen(self) -> dict[str, dict[str, str]]:
        """By domain: judged images that any of the runs was trained on, with the training image."""
        twins: dict[str, dict[str, str]] = {}
        for name in _names(self._runs[0]):
            twins[name] = {}
            for run in self._runs:
                settings, which = _images_of(run, name)
                twins[name] |= self._stages.seen(settings, which, run.config.data)
                if descends(run):
                    twins[name] |= self._stages.seen_elsewhere(settings, which, tuple(stimuli(run.config)))
            if len(twins[name]) == len({image for run in self._first.values() for image in self._images(run)[name][1]}):
                raise UserError(
                    f"{name}: the models were trained on all images of {settings.name}, or nearly; it can judge nothing"
                )
            if twins[name]:
                pairs = ", ".join(f"{image} (as {trained})" for image, trained in twins[name].items())
                log.warning("%s: left out, since the models were trained on them or nearly: %s", name, pairs)
        return twins

    def _domain(self, run: Run, name: str) -> Domain:
        settings, which = _images_of(run, name)
        return self._stages.domain(settings, which, run.config.prior, tuple(self.seen[name]))

    def _target(self, run: Run, name: str) -> Target | None:
        settings, _ = _images_of(run, name)
        config = run.config
        return self._stages.target(
            settings, config.prior, tuple(self.seen[name]), config.model.saliency_map_factor, self._seed
        )

    def _part(self, judged: Judged, name: str) -> Part:
        study = judged.study
        part = study.validation if name == IN_DOMAIN else study.foreign(name.removeprefix(f"{FOREIGN}."))
        return part.without(self.seen[name]) if self.seen[name] else part

    def _refuse_other_images(self) -> None:
        """All runs are judged on the same images, or not at all."""
        for run in self._runs:
            first = self._first[run.config.data.fold]
            images, others = self._images(run), self._images(first)
            if images != others:
                raise UserError(
                    f"{run.folder} is judged on other images than {first.folder}, so they cannot be compared:\n"
                    f"  {_said(images)}; there: {_said(others)}\n"
                    "  evaluate them apart                 runs=FOLDER\n"
                    "  judge both on the same foreign sets ood=[NAME,...]"
                )

    def _images(self, run: Run) -> dict[str, tuple[str, list[str]]]:
        by_name = {}
        for name in _names(run):
            settings, which = _images_of(run, name)
            by_name[name] = settings.name, self._stages.subset(settings, which).names
        return by_name


def _names(run: Run) -> list[str]:
    return [IN_DOMAIN, *(f"{FOREIGN}.{name}" for name in run.config.ood)]


def _images_of(run: Run, name: str) -> tuple[Any, str]:
    """Settings of a domain's data set and which of its images are judged."""
    if name == IN_DOMAIN:
        return run.config.data, "validation"
    return run.config.ood[name.removeprefix(f"{FOREIGN}.")], "all"


def _most_frequent(domain: Domain) -> Size:
    sizes = domain.subset.sizes
    return max(sorted(set(sizes)), key=sizes.count)


def _said(images: dict[str, tuple[str, list[str]]]) -> str:
    return ", ".join(f"{len(names)} images of {data}, {names[0]} first" for data, names in images.values())
