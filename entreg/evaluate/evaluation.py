"""task=evaluate: judges the runs of a sweep; results.json, tables and report.html go into a folder of its own."""
from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from entreg import files
from entreg.config import Config
from entreg.errors import UserError
from entreg.evaluate import differences, results, scores
from entreg.evaluate.arms import Arm, arms_of
from entreg.evaluate.bias_map import BiasMaps, bias_maps_of
from entreg.evaluate.domain import Domain, Domains
from entreg.evaluate.metrics import PRIMARY
from entreg.evaluate.runs import Run, find, read
from entreg.evaluate.scores import Judged, Rows
from entreg.ranks import Ranks
from entreg.report import page, tables
from entreg.report.panels import Prediction
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically, devices_of, threads_of
from entreg.run.provenance import provenance
from entreg.study.part import Part, Size
from entreg.study.study import Study

log = logging.getLogger(__name__)


def evaluate(config: Config, folder: RunFolder) -> float | None:
    """Judges config.runs (default: the newest sweep) in `folder`; the first comparison's IG difference out of domain."""
    compute_deterministically()
    folders, unfinished = find(config.runs)
    kind, _ = devices_of(config.hardware)
    torch.set_num_threads(threads_of(config.hardware, 1))
    for left_out in unfinished:
        log.warning("left out, not finished: %s (%s)", left_out, left_out.state_said)
    runs = [read(place, config) for place in folders]
    arms, keys = arms_of(runs)
    log.info("%d runs, grouped by %s (seeds averaged) into %d arms: %s", len(runs), ", ".join(keys) or "nothing",
             len(arms), ", ".join(f"{arm.name} ({len(arm.runs)} seed(s))" for arm in arms))
    if all(not arm.is_baseline for arm in arms):
        log.warning("no baseline (loss=nll or lambda 0) among the runs: nothing is compared")
    folder.write_config(config)

    evidence = Evidence(arms, Domains(Ranks(device=torch.device(kind))))
    evidence.score()
    data = {name: _data(domain) for name, domain in evidence.domains.items()}
    left_out_runs = [results.LeftOut(str(run), run.state_said, run.why_failed() or None) for run in unfinished]
    found = results.plain(
        results.results(arms, keys, evidence.rows, evidence.bias, data, left_out_runs, config.evaluation)
    )
    per_image, bias_maps = evidence.table(), evidence.bias_maps()
    files.write_csv(folder.per_image, per_image)
    files.write_csv(folder.arms, tables.arms(found))
    files.write_csv(folder.comparisons, tables.comparisons(found))
    files.write(folder.bias_maps, lambda file: np.savez_compressed(file, **bias_maps))
    start = provenance(kind, {"resampling": config.evaluation.seed}, fingerprints=evidence.fingerprints())
    folder.add_start(start)
    files.write_json(folder.results, found)
    page.write(
        folder, found, per_image, {arm.name: [run.history for run in arm.runs] for arm in arms}, bias_maps,
        evidence.examples(), start,
    )
    print(tables.terminal(found))
    print(f"\n{folder}")
    first = found["comparison"].get("ood") or found["comparison"].get("in_domain")
    return first["ig_difference_bits"]["mean"] if first else None


class Evidence:
    """What was found of the runs of some arms; runs on the same data share what does not depend on the model.

    domains: by `in_domain` or `ood`; rows: by arm and domain, a table for each seed; bias: by arm, for each seed the bias
    maps by (H, W), the landscape size first
    """

    def __init__(self, arms: list[Arm], stages: Domains) -> None:
        self._arms, self._stages = arms, stages
        # opened before any is judged: what cannot be compared is said at once
        self._studies = {run.folder: self._opened(run) for arm in arms for run in arm.runs}
        self.domains = self._domains(arms[0].runs[0])
        for arm in arms:
            for run in arm.runs:
                self._refuse_other_images(run)
        self._judged: dict[str, list[Judged]] = {}
        self.rows: dict[str, dict[str, list[Rows]]] = {}
        self.bias: dict[str, list[dict[Size, BiasMaps]]] = {}

    def score(self) -> None:
        """Scores every run in every domain, and makes its bias maps."""
        for arm in self._arms:
            self._judged[arm.name] = [scores.judged(run, self._studies[run.folder]) for run in arm.runs]
            self.bias[arm.name] = [
                {size: bias_maps_of(one.model, one.study.uniform(size)) for size in one.study.sizes}
                for one in self._judged[arm.name]
            ]
            self.rows[arm.name] = {name: [[] for _ in arm.runs] for name in self.domains}
        for name in self.domains:
            # runs with other priors are judged over their own
            groups: dict[int, list[tuple[str, int]]] = {}
            for arm in self._arms:
                for seed, run in enumerate(arm.runs):
                    groups.setdefault(id(self._domains(run)[name]), []).append((arm.name, seed))
            for group in groups.values():
                self._score(name, group)

    def _score(self, name: str, group: list[tuple[str, int]]) -> None:
        judged = [self._judged[arm][seed] for arm, seed in group]
        config = judged[0].run.config
        domain = self._domains(judged[0].run)[name]
        step = config.model.saliency_map_factor if name == "ood" else None
        models = [(one.model, _part(one.study, name)) for one in judged]
        with tqdm(total=len(domain.subset), desc=name, unit="image", disable=not sys.stderr.isatty()) as bar:
            found = scores.score(models, domain, step=step, tell=bar.update)
        for (arm, seed), rows in zip(group, found, strict=True):
            self.rows[arm][name][seed] = rows
        log.info("judged %d run(s) on %d images of %s", len(group), len(domain.subset), domain.settings.name)

    def fingerprints(self) -> dict[str, str]:
        """Of all that was read; several where runs differ."""
        studies = [
            study.fingerprints | {"features": study.validation.store.folder.name} for study in self._studies.values()
        ]
        return {key: ", ".join(dict.fromkeys(one[key] for one in studies)) for key in studies[0]}

    def table(self) -> list[dict[str, Any]]:
        """per_image.csv: arm, seed, domain, then a run's row of the image."""
        return [
            {"arm": arm.name, "seed": run.config.seed, "domain": domain, "run": str(run.folder)} | row
            for arm in self._arms
            for domain, seeds in self.rows[arm.name].items()
            for run, rows in zip(arm.runs, seeds, strict=True)
            for row in rows
        ]

    def bias_maps(self) -> dict[str, np.ndarray]:
        """(H, W) nats by arm: the first seed's averaged bias map, centre bias included as the model includes it."""
        first = {arm: next(iter(seeds[0].values())) for arm, seeds in self.bias.items()}
        return {arm: maps.with_center_bias.full()[0].numpy() for arm, maps in first.items()}

    def examples(self) -> dict[str, list[tuple[str, dict[str, Prediction]]]]:
        """By domain the best, median and worst image by the baseline's IG: what every arm (first seed) predicts."""
        found: dict[str, list[tuple[str, dict[str, Prediction]]]] = {}
        for name in self.domains:
            ig = differences.values_of(self.rows[self._arms[0].name][name], PRIMARY).mean(0)
            order = np.argsort(-ig, kind="stable")
            for label, i in (("best", order[0]), ("median", order[len(order) // 2]), ("worst", order[-1])):
                predictions = {arm.name: self._prediction(arm.name, name, int(i)) for arm in self._arms}
                found.setdefault(name, []).append((label, predictions))
        return found

    def _prediction(self, arm: str, domain: str, i: int) -> Prediction:
        first = self._judged[arm][0]
        part = _part(first.study, domain)
        density = scores.predict(first.model, part, i)
        y, x = (t.numpy() for t in part.fixations[i])
        value = self.rows[arm][domain][0][i][PRIMARY]
        title = f"{arm}: {value:.2f} bit/fixation".replace(": -", ": −")
        return Prediction(part.names[i], title, part.read(i), density.full()[0].numpy(), y, x)

    def _opened(self, run: Run) -> Study:
        """What the run is judged on. UserError where that is not what it was trained on."""
        study = Study(run.config, self._stages)
        trained_on = run.state["fingerprints"]
        changed = [key for key in ("data", "weights") if study.fingerprints[key] != trained_on[key]]
        if changed:
            raise UserError(f"{run.folder} was trained on other contents than are there now: {', '.join(changed)} changed")
        return study

    def _domains(self, run: Run) -> dict[str, Domain]:
        """`in_domain`: the validation images; `ood`: those of the other data set, where the config names one."""
        config = run.config
        found = {"in_domain": self._stages.domain(config.data, "validation", config.prior)}
        if config.ood is not None:
            found["ood"] = self._stages.domain(config.ood, "all", config.prior)
        return found

    def _refuse_other_images(self, run: Run) -> None:
        domains = self._domains(run)
        if _images(domains) != _images(self.domains):
            raise UserError(
                f"{run.folder} is judged on other images than the runs before it, so they cannot be compared:\n"
                f"  {_images_said(domains)}; before: {_images_said(self.domains)}\n"
                "  evaluate them apart   runs=FOLDER"
            )


def _part(study: Study, domain: str) -> Part:
    part = study.validation if domain == "in_domain" else study.foreign
    assert part is not None
    return part


def _images(domains: dict[str, Domain]) -> dict[str, tuple[str, list[str]]]:
    return {name: (domain.settings.name, domain.subset.names) for name, domain in domains.items()}


def _images_said(domains: dict[str, Domain]) -> str:
    return ", ".join(f"{tables.DOMAINS[name]} {len(names)} images of {data}, {names[0]} first"
                     for name, (data, names) in _images(domains).items())


def _data(domain: Domain) -> results.JudgedData:
    gold = domain.gold and {"bandwidth": domain.gold.bandwidth, "weights": [float(w) for w in domain.gold.weights]}
    subset = domain.subset
    return results.JudgedData(domain.settings.name, len(subset), int(subset.counts.sum()), domain.kde_images, gold)
