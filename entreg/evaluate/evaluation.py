"""What an evaluation judges, as told from the runs that it is given, and the files that it leaves."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from entreg import arrays, files
from entreg.config import Config
from entreg.errors import UserError
from entreg.evaluate.arms import Arm, arms_of, refuse_missing_folds
from entreg.evaluate.judgement import Judgement
from entreg.evaluate.plan import Plan, plan_of
from entreg.evaluate.published import arm_of, described
from entreg.evaluate.results import LeftOut
from entreg.report import page, tables
from entreg.run.folder import RunFolder
from entreg.study.finished import Run, typed_keys

log = logging.getLogger(__name__)


def arms(runs: list[Run], unfinished: Sequence[RunFolder]) -> tuple[list[Arm], list[str]]:
    """Return the arms of the runs and the settings that tell them apart; log them, and which runs are not finished.

    UserError where a fold of a cross-validation is missing.
    """
    for left_out_run in unfinished:
        log.warning("left out, not finished: %s (%s)", left_out_run, left_out_run.state_said)
    found, keys = arms_of(runs)
    refuse_missing_folds(found, unfinished)
    log.info(
        "%d runs, grouped by %s into %d arms: %s",
        len(runs),
        ", ".join(keys) or "nothing",
        len(found),
        ", ".join(f"{arm.name} ({_trainings(arm)})" for arm in found),
    )
    if all(not arm.is_baseline for arm in found):
        log.warning("no baseline (loss=nll or lambda 0) among the runs: nothing is compared")
    return found, keys


def plan(judged: Sequence[Arm]) -> Plan:
    """Return what the study was for, as its runs recorded it; log why all is exploratory where it is."""
    found = plan_of(judged, typed_keys())
    if found.why is not None:
        log.warning("all comparisons are exploratory: %s", found.why)
    return found


def with_published(trained: Sequence[Arm], config: Config) -> list[Arm]:
    """Return the arms, those that started from a published file with its description, and config.published as one more.

    UserError where a published model would have to be judged beside a cross-validation.
    """
    found = [_with_origin(arm) for arm in trained]
    if config.published is not None:
        if found[0].folds > 1:
            raise UserError(
                "published=FILE is one model, and each fold of a cross-validation is judged by others; "
                "judge it beside runs of one fold"
            )
        found.append(arm_of(Path(config.published), config.published_component, found[0].runs[0].config))
    return found


def left_out(unfinished: Sequence[RunFolder]) -> list[LeftOut]:
    """Return what the results say of runs that are not finished."""
    return [LeftOut(str(run), run.state_said, run.why_failed() or None) for run in unfinished]


def write(
    folder: RunFolder, found: Mapping[str, Any], judgement: Judgement, judged: Sequence[Arm], start: dict[str, Any]
) -> None:
    """Write the tables, the bias maps, results.json and, last of all, the page.

    found: the results as plain containers; start: where they come from
    """
    per_image, bias_maps = judgement.table(), judgement.bias_maps()
    files.write_csv(folder.per_image, per_image)
    files.write_csv(folder.arms, tables.arms(found))
    files.write_csv(folder.comparisons, tables.comparisons(found))
    arrays.write(folder.bias_maps, bias_maps)
    folder.add_start(start)
    files.write_json(folder.results, found)
    histories = {arm.name: [run.history for run in arm.runs] for arm in judged if not arm.is_fixed}
    page.write(
        folder,
        page.Content(found, per_image, histories, bias_maps, judgement.mean_densities(), judgement.examples(), start),
    )


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
