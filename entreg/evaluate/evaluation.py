"""task=evaluate: judges the runs of a sweep; results.json, per_image.csv and report.html go into a folder of its own."""
from __future__ import annotations

import dataclasses
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

    evidence = _Evidence()
    show = sys.stderr.isatty()
    for arm, run in tqdm([(a, r) for a in arms for r in a.runs], "runs", unit="run", disable=not show):
        study, domains = evidence.of(run, ranks)
        evidence.judge(arm, run, study, domains)
        log.info("judged %s (%s, seed %d)", run.folder, arm.name, run.config.seed)

    results = _results(arms, keys, evidence, unfinished, config)
    per_image, bias_maps = evidence.table(), evidence.bias_maps(arms)
    files.write_csv(folder / "per_image.csv", per_image)
    files.write(folder / "bias_maps.npz", lambda file: np.savez_compressed(file, **bias_maps))
    provenance = run_folder.provenance(kind, {"resampling": config.evaluation.seed}, fingerprints=study.fingerprints)
    files.write_json(folder / "provenance.json", provenance)
    files.write_json(folder / "results.json", results)
    page.write(
        folder / "report.html", results, per_image, {arm.name: _histories(arm) for arm in arms},
        bias_maps, evidence.examples(arms), provenance,
    )
    print(tables.terminal(results))
    print(f"\n{folder}")
    first = results["comparison"].get("ood") or results["comparison"].get("in_domain")
    return first["ig_difference_bits"]["mean"] if first else None


class _Evidence:
    """What was found, run by run; runs on the same data share what does not depend on the model."""

    def __init__(self) -> None:
        self._studies: dict[str, tuple[Study, dict[str, Domain]]] = {}
        self._models: dict[str, list[tuple[Run, Study, torch.nn.Module]]] = {}
        self.rows: dict[str, dict[str, list[comparison.Rows]]] = {}
        self.other_center_bias: dict[str, list[dict[str, list[float]]]] = {}
        self.bias: dict[str, list[dict[tuple[int, int], judgement.Bias]]] = {}
        self.domains: dict[str, Domain] = {}

    def of(self, run: Run, ranks: Ranks) -> tuple[Study, dict[str, Domain]]:
        tree = run_folder.plain(run.config)
        key = repr([tree[part] for part in ("data", "ood", "model", "prior", "store", "paths", "uniform")])
        key += run.config.hardware.precision
        if key not in self._studies:
            study = Study(run.config, ranks)
            self._studies[key] = study, domains_of(study)
        study, domains = self._studies[key]
        trained_on = run.state["fingerprints"]
        changed = [k for k in ("data", "weights") if study.fingerprints[k] != trained_on[k]]
        if changed:
            raise UserError(f"{run.folder} was trained on other contents than are there now: {', '.join(changed)} changed")
        return study, domains

    def judge(self, arm: Arm, run: Run, study: Study, domains: dict[str, Domain]) -> None:
        model = judgement.model_of(run, study)
        self._models.setdefault(arm.name, []).append((run, study, model))
        self.domains = self.domains or domains
        for name, domain in domains.items():
            rows = judgement.per_image(model, domain)
            self.rows.setdefault(arm.name, {}).setdefault(name, []).append(rows)
        if "ood" in domains:
            found = judgement.ood_center_bias_ig(model, study, domains["ood"])
            self.other_center_bias.setdefault(arm.name, []).append(found)
        sizes = [study.landscape] + sorted({*study.training.sizes, *study.validation.sizes} - {study.landscape})
        self.bias.setdefault(arm.name, []).append({s: judgement.bias_of(model, study.uniform(s)) for s in sizes})

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
        for name, domain in self.domains.items():
            ig = comparison.values_of(self.rows[arms[0].name][name], "ig_bits_per_fixation").mean(0)
            order = np.argsort(-ig, kind="stable")
            for label, i in (("best", order[0]), ("median", order[len(order) // 2]), ("worst", order[-1])):
                y, x = (t.numpy() for t in domain.part.fixations[i])
                picture = domain.part.resized.read(domain.part.items[i])
                predictions = {}
                for arm in arms:
                    density = judgement.predict(self._models[arm.name][0][2], domain, int(i))
                    value = self.rows[arm.name][name][0][i]["ig_bits_per_fixation"]
                    title = f"{domain.part.names[i]}, {arm.name}: {value:.2f} bit/fixation".replace(": -", ": −")
                    predictions[arm.name] = Prediction(title, picture, density.full()[0].numpy(), y, x)
                found.setdefault(name, []).append((label, predictions))
        return found


def _histories(arm: Arm) -> list[Sequence[dict[str, Any]]]:
    return [run.state["history"] for run in arm.runs]


def _results(
    arms: list[Arm], keys: list[str], evidence: _Evidence, unfinished: list[Path], config: Config
) -> dict[str, Any]:
    settings = config.evaluation
    sure = (settings.bootstrap, settings.seed)
    found = {arm.name: _arm(arm, evidence, *sure) for arm in arms}
    comparisons = comparison.compare(arms, evidence.rows, found, *sure)
    baseline = next((arm for arm in arms if arm.is_baseline), None)
    return {
        "study": arms[0].runs[0].config.study,
        "grouped_by": keys,
        "baseline": baseline.name if baseline else None,
        "arms": found,
        "comparison": next(({"arm": name} | c for name, c in comparisons.items() if not _is_baseline(arms, name)), {}),
        "comparisons": comparisons,
        "baseline_band": comparison.band(baseline, found[baseline.name]["in_domain"]) if baseline else None,
        "data": {name: _data(domain) for name, domain in evidence.domains.items()},
        "left_out": [_left_out(folder) for folder in unfinished],
        "lambda_chosen_on_validation": "loss.lambda_entropy" in keys,
        "evaluation": dataclasses.asdict(settings),
    }


def _left_out(folder: Path) -> dict[str, Any]:
    """An unfinished run; where it failed, why: of a loss that was not finite the text names epoch, batch and images."""
    failure = folder / "failure.txt"
    return {
        "run": str(folder), "state": sweep.state_of(folder)[0],
        "failure": failure.read_text().strip() if failure.is_file() else None,
    }


def _is_baseline(arms: list[Arm], name: str) -> bool:
    return next(arm for arm in arms if arm.name == name).is_baseline


def _arm(arm: Arm, evidence: _Evidence, resamples: int, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "settings": arm.settings, "seeds": [run.config.seed for run in arm.runs],
        "runs": [str(run.folder) for run in arm.runs], "is_baseline": arm.is_baseline,
    }
    for name, seeds in evidence.rows[arm.name].items():
        summary = comparison.summarise(seeds, resamples, seed)
        found[name] = summary | comparison.explained(summary) | {"by_category": comparison.by_category(seeds)}
    if arm.name in evidence.other_center_bias:
        names = [row["image"] for row in evidence.rows[arm.name]["ood"][0]]
        found["ood"]["ig_by_center_bias"] = {"training": found["ood"]["ig_bits_per_fixation"]} | {
            kind: comparison.summarise(
                [[{"image": n, "ig": v} for n, v in zip(names, one[kind])] for one in evidence.other_center_bias[arm.name]],
                resamples, seed,
            )["ig"]
            for kind in ("own", "uniform")
        }
    by_size = evidence.bias[arm.name]
    landscape = next(iter(by_size[0]))
    per_seed = [judgement.bias_row(biases[landscape]) for biases in by_size]
    found |= {key: float(np.mean([row[key] for row in per_seed])) for key in per_seed[0]}
    found["bias_entropy_nats_by_seed"] = [row["bias_entropy_nats"] for row in per_seed]
    found["bias_entropy_nats_by_size"] = {
        f"{size[1]}x{size[0]}": float(np.mean([judgement.bias_row(b[size])["bias_entropy_nats"] for b in by_size]))
        for size in by_size[0]
    }
    last = [run.state["history"][-1] for run in arm.runs]
    found["center_bias_weight"] = float(np.mean([row["center_bias_weight"] for row in last]))
    found["sigma_px"] = float(np.mean([row["sigma_px"] for row in last]))
    found["stability"] = [{"seed": run.config.seed} | judgement.stability(run) for run in arm.runs]
    return found


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
