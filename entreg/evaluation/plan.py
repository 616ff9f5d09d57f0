"""The primary outcome of a study, as its runs recorded it before training; all other comparisons are exploratory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from entreg.config import Data, Primary
from entreg.config.settings import settings_of
from entreg.errors import DataError, SettingError
from entreg.evaluation.arms import Arm, baseline_of, result_settings
from entreg.evaluation.metrics import primary_metric
from entreg.results.schema import BASELINE, IN_DOMAIN, LEFT_OUT, SINGLE_SETS, Plan


def plan_of(arms: Sequence[Arm], typed: Sequence[str], beside: Sequence[Arm] = ()) -> Plan:
    """Return the plan that the runs of the arms recorded.

    Raises a DataError where a run recorded a metric that is unknown.

    typed: the keys that were typed for this evaluation; beside: the same arms, trained on other sets, whose runs must
        have recorded the plan, too, where it is about them. Where they learned from as many sets, no plan says that
        it is about the former and not about them
    """
    runs = [run for arm in arms for run in arm.runs]
    first = next((plan for run in runs if (plan := run.folder.read_plan()) is not None), None)
    against = Primary(**first["primary"]).against if first else runs[0].config.evaluation.primary.against
    if against == SINGLE_SETS:
        runs += [run for arm in beside for run in arm.runs]
    plans = [run.folder.read_plan() for run in runs]
    foreign = runs[0].config.ood
    recorded = [plan for plan in plans if plan is not None]
    primary = Primary(**recorded[0]["primary"]) if recorded else runs[0].config.evaluation.primary
    planned = [name for name in foreign if recorded and _is_planned(name, foreign[name], recorded)]
    why = _why_exploratory(plans, planned, typed, any(arm.left_out for arm in arms))
    if why is None and against == BASELINE:
        why = _one_of_several(arms, beside)
    if why is None and against == SINGLE_SETS and not beside:
        why = "no models learned from one set alone beside those that learned from all but one"
    arm = None
    if why is None:
        is_meant = _has_settings if against == SINGLE_SETS else _is_meant
        matching = [candidate.name for candidate in arms if is_meant(candidate, primary, arms)]
        arm = matching[0] if len(matching) == 1 else None
        if not matching:
            why = f"no arm has the settings that were named beforehand ({_in_words(primary.arm)})"
        elif len(matching) > 1:
            names = ", ".join(matching)
            why = f"several arms have the settings that were named beforehand ({_in_words(primary.arm)}): {names}"
    if arm is None:
        planned = list(foreign)
    try:
        metric = primary_metric(primary)
    except SettingError as error:
        raise DataError(
            f"{runs[0].folder} was planned for a metric that this version does not know: {error}"
        ) from error
    left_out = {name for arm in arms for name in arm.left_out}
    only = f"{LEFT_OUT}.{next(iter(left_out))}" if len(left_out) == 1 else LEFT_OUT  # whose mean is that set
    domain = only if primary.domain == LEFT_OUT else primary.domain
    added = [name for name in foreign if name not in planned]
    return Plan(arm, domain, metric.key, planned, added, why, against)


def _why_exploratory(  # noqa: PLR0911  # a reason for each return
    plans: Sequence[Mapping[str, Any] | None],
    planned: Sequence[str],
    typed: Sequence[str],
    leaves_out: bool,
) -> str | None:
    """Return why no comparison can be the primary outcome; None where one can.

    leaves_out: whether sets were left out
    """
    if any(key.startswith("evaluation.primary") for key in typed):
        return "evaluation.primary was typed for this evaluation, after the runs were trained"
    recorded = [plan for plan in plans if plan is not None]
    if len(recorded) < len(plans):
        return f"{len(plans) - len(recorded)} of {len(plans)} runs do not record a primary outcome"
    if any(plan["primary"] != recorded[0]["primary"] for plan in recorded):
        return "the runs were started with different primary outcomes"
    if any(plan["ood"].keys() != recorded[0]["ood"].keys() for plan in recorded):
        return "the runs were started with different foreign sets"
    domain = recorded[0]["primary"]["domain"]
    if domain == LEFT_OUT and not leaves_out:
        return "no set was left out"
    if domain in (IN_DOMAIN, LEFT_OUT):
        return None
    needed = list(recorded[0]["ood"]) if domain == "ood" else [domain.removeprefix("ood.")]
    absent = [name for name in needed if name not in planned]
    if absent:
        return f"foreign sets that were planned are not evaluated as planned: {', '.join(absent)}"
    return None if needed else "no foreign set was planned"


def _one_of_several(arms: Sequence[Arm], beside: Sequence[Arm]) -> str | None:
    """Return why no plan is about the arms where others learned from as many sets; None where none did."""
    rows, others = ({run.trained_on for arm in some for run in arm.runs} for some in (arms, beside))
    if len(rows) > 1 or not any(len(other) == len(row) for row in rows for other in others - rows):
        return None
    return (
        f"the arms are compared by models that learned from {' + '.join(*rows)}, the first by name of several rows of "
        "as many sets, and none of these was named beforehand"
    )


def _is_planned(name: str, settings: Data, plans: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether all runs were started with this foreign set; its location may differ."""
    unused = settings.unused
    now = {
        setting.key: setting.value
        for setting in settings_of(settings)
        if setting.affects != "location" and setting.key not in unused
    }
    # a setting that the plan does not have was added later, when its default was in force
    default = {setting.key: setting.value for setting in settings_of(type(settings)())}
    return all(
        name in plan["ood"] and {key: plan["ood"][name].get(key, default[key]) for key in now} == now for plan in plans
    )


def _is_meant(arm: Arm, primary: Primary, arms: Sequence[Arm]) -> bool:
    """Return whether the arm has the primary outcome's settings and differs from its baseline by nothing else."""
    baseline = baseline_of(arm, list(arms))
    if arm.is_baseline or baseline is None:
        return False
    ours, base = result_settings(arm.runs[0].config), result_settings(baseline.runs[0].config)
    differing = {key for key in ours if ours[key] != base.get(key)}
    return differing <= primary.arm.keys() and all(ours.get(key) == value for key, value in primary.arm.items())


def _has_settings(arm: Arm, primary: Primary, arms: Sequence[Arm]) -> bool:
    """Return whether the arm has the primary outcome's settings, of which a baseline has those alone that it uses."""
    ours = result_settings(arm.runs[0].config)
    return all(ours[key] == value for key, value in primary.arm.items() if key in ours)


def _in_words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items())
