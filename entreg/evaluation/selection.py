"""What an evaluation compares: the arms of the runs that it is given, a published model, and the primary outcome."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from entreg.config import Config
from entreg.errors import UserError
from entreg.evaluation.arms import Arm, refuse_missing_folds, refuse_missing_sets
from entreg.evaluation.metrics import SHUFFLED
from entreg.evaluation.plan import plan_of
from entreg.evaluation.published_arm import arm_of, described
from entreg.evaluation.training_rows import arms_by_rows, cross_validations, judged_on_all_sets
from entreg.results.schema import LeftOut, Plan
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun

log = logging.getLogger(__name__)


def select_arms(runs: list[FinishedRun], unfinished: Sequence[RunFolder]) -> tuple[list[Arm], list[str]]:
    """Return the arms of the runs and the keys of the settings that tell them apart.

    The log names the arms, and the runs that are left out because they have not finished. Where runs learned from
    different sets, the arms that are compared are followed by the other rows, see `training_rows.py`. Raises a
    UserError where a fold of a cross-validation is missing.
    """
    for folder in unfinished:
        log.warning("left out, not finished: %s (%s)", folder, folder.state_in_words)
    every, keys = arms_by_rows(judged_on_all_sets(runs))
    arms = [arm for arm in every if arm.row_of is None]
    for of_some in (arms, *([one] for one in cross_validations(every))):
        refuse_missing_folds(of_some, unfinished)
    refuse_missing_sets(arms, unfinished)
    log.info(
        "%d runs, grouped by %s into %d arms: %s",
        len(runs),
        ", ".join(keys) or "nothing",
        len(arms),
        ", ".join(f"{arm.name} ({_trainings(arm)})" for arm in arms),
    )
    if len(every) > len(arms):
        rows = dict.fromkeys(" + ".join(run.trained_on) for arm in every for run in arm.runs)
        log.info(
            "the arms are compared by %s; the matrix of sets shows all that was learned from: %s",
            _learned_from(arms),
            ", ".join(rows),
        )
    if all(not arm.is_baseline for arm in arms):
        log.warning("no baseline (loss=nll or lambda 0) among the runs: nothing is compared")
    return every, keys


def select_plan(arms: Sequence[Arm], typed: Sequence[str]) -> Plan:
    """Return the primary outcome that the runs recorded. Where there is none, the log says why.

    arms: those that are compared, and those beside them; typed: the keys that were typed for this evaluation
    """
    compared, beside = ([arm for arm in arms if (arm.row_of is None) is is_compared] for is_compared in (True, False))
    plan = plan_of(compared, typed, beside)
    if plan.why is not None:
        log.warning("all comparisons are exploratory: %s", plan.why)
    return plan


def without_plan(plan: Plan, why: str) -> Plan:
    """Return the plan of an evaluation in which all comparisons are exploratory, and log why."""
    log.warning("all comparisons are exploratory: %s", why)
    return dataclasses.replace(plan, arm=None, planned=[*plan.planned, *plan.added], added=[], why=plan.why or why)


def refuse_unmeasured(plan: Plan, fixated: Mapping[str, int]) -> None:
    """Raise a UserError where the study was planned for shuffled AUC, and a set has no fixations on other images.

    fixated: by domain, the number of the set's images that have fixations
    """
    alone = sorted(name for name, images in fixated.items() if images < 2)
    if plan.arm is not None and plan.metric == SHUFFLED and alone:
        raise UserError(
            f"{', '.join(alone)}: one image alone has fixations, so that there is no shuffled AUC, for which the study "
            "was planned.\n  leave the set out   ood=[NAME,...]"
        )


def with_published(arms: Sequence[Arm], config: Config) -> list[Arm]:
    """Return the arms, followed by that of config.published, where it is set.

    Arms whose trainings started from a published file get its description. Raises a UserError where a published model
    would have to be compared with a cross-validation.
    """
    described_arms = [_with_origin(arm) for arm in arms]
    if config.published is not None:
        first = described_arms[0]
        if first.folds > 1 or any(arm.row_of is not None for arm in arms):
            raise UserError(
                "published=FILE is one model, but each fold of a cross-validation, and each set that is left out, is "
                "evaluated with models of its own. Evaluate it beside runs of one fold that leave out one set"
            )
        described_arms.append(arm_of(Path(config.published), config.published_component, first.runs[0].config))
    return described_arms


def left_out(unfinished: Sequence[RunFolder]) -> list[LeftOut]:
    """Return the entries of results.json for runs that have not finished."""
    return [LeftOut(str(folder), folder.state_in_words, folder.why_failed() or None) for folder in unfinished]


def _learned_from(arms: Sequence[Arm]) -> str:
    """Return in words the sets that the runs of some arms learned from."""
    return "the runs on " + ", ".join(dict.fromkeys(" + ".join(run.trained_on) for arm in arms for run in arm.runs))


def _trainings(arm: Arm) -> str:
    n = len(arm.seeds)
    models = "left-out sets" if arm.left_out else "folds"
    return f"{n} training{'s' * (n > 1)}{f' of {arm.folds} {models}' * (arm.folds > 1)}"


def _with_origin(arm: Arm) -> Arm:
    """Return the arm with the description of the published file from which its trainings started, if any."""
    config = arm.runs[0].config
    if config.model.init_from is None:
        return arm
    description = described(Path(config.model.init_from), "start", config)
    sha256 = arm.runs[0].state["fingerprints"].get("init_from")
    return dataclasses.replace(arm, published=description | {"sha256": sha256})
