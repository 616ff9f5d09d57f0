"""task=evaluate: judges the runs of a sweep; results.json, tables and report.html go into a folder of its own."""
from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from entreg import arrays, files, losses
from entreg.config import Config
from entreg.errors import UserError
from entreg.evaluate import results
from entreg.evaluate.arms import Arm, arms_of, refuse_missing_folds
from entreg.evaluate.judgement import Judgement
from entreg.evaluate.metrics import primary_metric
from entreg.evaluate.plan import plan_of
from entreg.evaluate.published import arm_of, described
from entreg.evaluate.runs import find
from entreg.evaluate.stages import JudgedStages
from entreg.ranks import Ranks
from entreg.report import page, tables
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically
from entreg.run.launch import launch
from entreg.run.provenance import provenance
from entreg.study import arithmetic
from entreg.study.finished import read, typed_keys

log = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Check the primary outcome before runs are read. SettingError where its metric or a setting of its arm is none."""
    primary_metric(config.evaluation.primary)
    losses.check(config)


def evaluate(config: Config, folder: RunFolder) -> float | None:
    """Judges config.runs (default: the newest sweep) in `folder`; the main comparison's IG difference out of domain.

    None where there is no comparison, and where it stopped to be requeued.
    """
    return launch(judge, config, folder)


def judge(ranks: Ranks, config: Config, folder: RunFolder) -> float | None:
    """What `evaluate` does, on one rank. Stopped where the run was asked to stop: features built so far are kept."""
    compute_deterministically()
    folders, unfinished = find(config.runs)
    for left_out in unfinished:
        log.warning("left out, not finished: %s (%s)", left_out, left_out.state_said)
    runs = [read(place, config) for place in folders]
    arms, keys = arms_of(runs)
    refuse_missing_folds(arms, unfinished)
    log.info("%d runs, grouped by %s into %d arms: %s", len(runs), ", ".join(keys) or "nothing", len(arms),
             ", ".join(f"{arm.name} ({_trainings(arm)})" for arm in arms))
    if all(not arm.is_baseline for arm in arms):
        log.warning("no baseline (loss=nll or lambda 0) among the runs: nothing is compared")
    plan = plan_of(arms, typed_keys())
    if plan.why is not None:
        log.warning("all comparisons are exploratory: %s", plan.why)
    folder.write_config(config)

    features = arithmetic.settle(runs, ranks.device.type, typed_keys())
    log.info("features: %s", features)
    arms = [_with_origin(arm) for arm in arms]
    if config.published is not None:
        if arms[0].folds > 1:
            raise UserError("published=FILE is one model, and each fold of a cross-validation is judged by others; "
                            "judge it beside runs of one fold")
        arms.append(arm_of(Path(config.published), config.published_component, arms[0].runs[0].config))
    judgement = Judgement(arms, JudgedStages(ranks), config.evaluation.seed)
    judgement.judge()
    left_out_runs = [results.LeftOut(str(run), run.state_said, run.why_failed() or None) for run in unfinished]
    found = results.plain(results.results(
        arms, keys, judgement.evidence(), judgement.data(), left_out_runs, plan, config.evaluation
    ))
    per_image, bias_maps = judgement.table(), judgement.bias_maps()
    files.write_csv(folder.per_image, per_image)
    files.write_csv(folder.arms, tables.arms(found))
    files.write_csv(folder.comparisons, tables.comparisons(found))
    arrays.write(folder.bias_maps, bias_maps)
    start = provenance(ranks.device.type, {"folds": config.evaluation.seed}, fingerprints=judgement.fingerprints(),
                       features=features)
    folder.add_start(start)
    files.write_json(folder.results, found)
    histories = {arm.name: [run.history for run in arm.runs] for arm in arms if not arm.is_fixed}
    page.write(folder, page.Content(
        found, per_image, histories, bias_maps, judgement.mean_densities(), judgement.examples(), start
    ))
    print(tables.terminal(found))
    print(f"\n{folder}")
    main = found["comparison"].get(results.FOREIGN) or found["comparison"].get(results.IN_DOMAIN)
    return main["ig_difference_bits"]["mean"] if main else None


def _trainings(arm: Arm) -> str:
    n = len(arm.seeds)
    return f"{n} training{'s' * (n > 1)}{f' of {arm.folds} folds' * (arm.folds > 1)}"


def _with_origin(arm: Arm) -> Arm:
    """An arm whose trainings started from a published file, with what is said of that."""
    config = arm.runs[0].config
    if config.model.init_from is None:
        return arm
    said = described(Path(config.model.init_from), "start", config)
    return dataclasses.replace(arm, published=said | {"sha256": arm.runs[0].state["fingerprints"].get("init_from")})
