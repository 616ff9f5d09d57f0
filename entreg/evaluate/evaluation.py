"""task=evaluate: judges the runs of a sweep; results.json, tables and report.html go into a folder of its own."""
from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from entreg import files
from entreg.config import Config
from entreg.engine import run_folder, sweep
from entreg.engine.hardware import compute_deterministically, devices_of, threads_of
from entreg.engine.ranks import Ranks
from entreg.engine.study import Study
from entreg.errors import UserError
from entreg.evaluate import comparison, judgement
from entreg.evaluate.domain import Domain, domains_of
from entreg.evaluate.results import results
from entreg.evaluate.runs import Arm, Run, arms_of, find, load
from entreg.report import page, tables
from entreg.report.figures import Prediction

log = logging.getLogger(__name__)


def evaluate(config: Config, folder: Path) -> float | None:
    """Judges config.runs (default: the newest sweep) in `folder`; the first comparison's IG difference out of domain."""
    compute_deterministically()
    folders, unfinished = find(config.runs)
    kind, _ = devices_of(config.hardware)
    torch.set_num_threads(threads_of(config.hardware, 1))
    ranks = Ranks(device=torch.device(kind))
    for left_out in unfinished:
        log.warning("left out, not finished: %s (%s)", left_out, sweep.state_of(left_out)[0])
    runs = [load(place, config) for place in folders]
    arms, keys = arms_of(runs)
    log.info("%d runs, grouped by %s (seeds averaged) into %d arms: %s", len(runs), ", ".join(keys) or "nothing",
             len(arms), ", ".join(f"{arm.name} ({len(arm.runs)} seed(s))" for arm in arms))
    if all(not arm.is_baseline for arm in arms):
        log.warning("no baseline (loss=nll or lambda 0) among the runs: nothing is compared")
    run_folder.write_config(folder, config)

    evidence = _Evidence(ranks)
    # opened before any is judged: what cannot be compared is said at once
    opened = {run.folder: evidence.open(run) for run in runs}
    show = sys.stderr.isatty()
    for arm, run in tqdm([(a, r) for a in arms for r in a.runs], "runs", unit="run", disable=not show):
        evidence.judge(arm, run, *opened[run.folder])
        log.info("judged %s (%s, seed %d)", run.folder, arm.name, run.config.seed)

    data = {name: _data(domain) for name, domain in evidence.domains.items()}
    left_out = [_left_out(place) for place in unfinished]
    found = results(arms, keys, evidence.rows, evidence.bias, data, left_out, config.evaluation)
    per_image, bias_maps = evidence.table(), evidence.bias_maps(arms)
    files.write_csv(folder / "per_image.csv", per_image)
    files.write_csv(folder / "arms.csv", tables.arms(found))
    files.write_csv(folder / "comparisons.csv", tables.comparisons(found))
    files.write(folder / "bias_maps.npz", lambda file: np.savez_compressed(file, **bias_maps))
    provenance = run_folder.provenance(kind, {"resampling": config.evaluation.seed}, fingerprints=evidence.fingerprints())
    files.write_json(folder / "provenance.json", provenance)
    files.write_json(folder / "results.json", found)
    page.write(
        folder / "report.html", found, per_image, {arm.name: _histories(arm) for arm in arms},
        bias_maps, evidence.examples(arms), provenance,
    )
    print(tables.terminal(found))
    print(f"\n{folder}")
    first = found["comparison"].get("ood") or found["comparison"].get("in_domain")
    return first["ig_difference_bits"]["mean"] if first else None


class _Evidence:
    """What was found, run by run; runs on the same data share what does not depend on the model."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._studies: dict[str, tuple[Study, dict[str, Domain]]] = {}
        self._models: dict[str, list[tuple[Run, dict[str, Domain], torch.nn.Module]]] = {}
        self.rows: dict[str, dict[str, list[comparison.Rows]]] = {}
        self.bias: dict[str, list[dict[tuple[int, int], judgement.Bias]]] = {}

    @property
    def domains(self) -> dict[str, Domain]:
        """The first run's; every other run's hold the same images."""
        return next(iter(self._studies.values()))[1]

    def open(self, run: Run) -> tuple[Study, dict[str, Domain]]:
        """What the run is judged on. UserError where that is not what it was trained on, or not what others are judged on."""
        tree = run_folder.plain(run.config)
        parts = ("data", "ood", "model", "prior", "store", "paths", "uniform")
        key = repr([tree[part] for part in parts] + [tree["hardware"][name] for name in ("precision", "convolution")])
        if key not in self._studies:
            study = Study(run.config, self._ranks)
            self._studies[key] = study, domains_of(study)
        study, domains = self._studies[key]
        trained_on = run.state["fingerprints"]
        changed = [k for k in ("data", "weights") if study.fingerprints[k] != trained_on[k]]
        if changed:
            raise UserError(f"{run.folder} was trained on other contents than are there now: {', '.join(changed)} changed")
        if _images(domains) != _images(self.domains):
            raise UserError(
                f"{run.folder} is judged on other images than the runs before it, so they cannot be compared:\n"
                f"  {_images_said(domains)}; before: {_images_said(self.domains)}\n"
                "  evaluate them apart   runs=FOLDER"
            )
        return study, domains

    def judge(self, arm: Arm, run: Run, study: Study, domains: dict[str, Domain]) -> None:
        model = judgement.model_of(run, study)
        self._models.setdefault(arm.name, []).append((run, domains, model))
        for name, domain in domains.items():
            rows = judgement.per_image(model, domain)
            if name == "ood":
                rows = [row | more for row, more in zip(rows, judgement.by_center_bias(model, domain))]
            self.rows.setdefault(arm.name, {}).setdefault(name, []).append(rows)
        sizes = [study.landscape] + sorted({*study.training.sizes, *study.validation.sizes} - {study.landscape})
        self.bias.setdefault(arm.name, []).append({s: judgement.bias_of(model, study.uniform(s)) for s in sizes})

    def fingerprints(self) -> dict[str, str]:
        """Of all that was read; several where runs differ."""
        studies = [study.fingerprints for study, _ in self._studies.values()]
        return {key: ", ".join(dict.fromkeys(one[key] for one in studies)) for key in studies[0]}

    def table(self) -> list[dict[str, Any]]:
        """per_image.csv: arm, seed, domain, then a run's row of the image."""
        return [
            {"arm": arm, "seed": run.config.seed, "domain": domain, "run": str(run.folder)} | row
            for arm, domains in self.rows.items()
            for domain, seeds in domains.items()
            for (run, _, _), rows in zip(self._models[arm], seeds)
            for row in rows
        ]

    def bias_maps(self, arms: list[Arm]) -> dict[str, np.ndarray]:
        """(H, W) nats by arm: the first seed's averaged bias map, centre bias included as the model includes it."""
        return {arm.name: next(iter(self.bias[arm.name][0].values())).with_center_bias.full()[0].numpy() for arm in arms}

    def examples(self, arms: list[Arm]) -> dict[str, list[tuple[str, dict[str, Prediction]]]]:
        """By domain the best, median and worst image by the baseline's IG: what every arm (first seed) predicts."""
        found: dict[str, list[tuple[str, dict[str, Prediction]]]] = {}
        for name in self.domains:
            ig = comparison.values_of(self.rows[arms[0].name][name], "ig_bits_per_fixation").mean(0)
            order = np.argsort(-ig, kind="stable")
            for label, i in (("best", order[0]), ("median", order[len(order) // 2]), ("worst", order[-1])):
                predictions = {}
                for arm in arms:
                    _, domains, model = self._models[arm.name][0]
                    part, density = domains[name].part, judgement.predict(model, domains[name], int(i))
                    y, x = (t.numpy() for t in part.fixations[i])
                    value = self.rows[arm.name][name][0][i]["ig_bits_per_fixation"]
                    predictions[arm.name] = Prediction(
                        part.names[i], f"{arm.name}: {value:.2f} bit/fixation".replace(": -", ": −"),
                        part.resized.read(part.items[i]), density.full()[0].numpy(), y, x,
                    )
                found.setdefault(name, []).append((label, predictions))
        return found


def _images(domains: dict[str, Domain]) -> dict[str, tuple[str, list[str]]]:
    return {name: (domain.part.resized.dataset.name, domain.part.names) for name, domain in domains.items()}


def _images_said(domains: dict[str, Domain]) -> str:
    return ", ".join(f"{tables.DOMAINS[name]} {len(names)} images of {data}, {names[0]} first"
                     for name, (data, names) in _images(domains).items())


def _histories(arm: Arm) -> list[Sequence[dict[str, Any]]]:
    return [run.state["history"] for run in arm.runs]


def _left_out(folder: Path) -> dict[str, Any]:
    """An unfinished run; where it failed, why: of a loss that was not finite the text names epoch, batch and images."""
    failure = folder / "failure.txt"
    return {
        "run": str(folder), "state": sweep.state_of(folder)[0],
        "failure": failure.read_text().strip() if failure.is_file() else None,
    }


def _data(domain: Domain) -> dict[str, Any]:
    found = {
        "name": domain.part.resized.dataset.name, "n_images": len(domain.part),
        "n_fixations": int(domain.part.counts.sum()), "kde_prior_images": domain.kde_images,
    }
    if domain.gold is not None:
        found["gold_standard"] = {
            "bandwidth": domain.gold.bandwidth, "weights": [float(w) for w in domain.gold.weights]
        }
    return found
