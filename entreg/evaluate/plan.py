"""What the study was for, as its runs recorded it before they were trained; all other comparisons are exploratory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from entreg.config import Config, Data, Primary
from entreg.errors import DataError, SettingError
from entreg.evaluate.arms import Arm, baseline_of, result_settings
from entreg.evaluate.metrics import primary_metric
from entreg.settings import settings_of


@dataclass(frozen=True)
class Plan:
    """The primary outcome.

    arm: whose comparison with its baseline it is; None where all is exploratory, and `why` says why
    domain: in_domain, ood (the mean over the foreign sets that were planned) or ood.NAME; metric: its key
    planned, added: foreign sets that were named before the training, and those that were not
    """

    arm: str | None
    domain: str
    metric: str
    planned: list[str]
    added: list[str]
    why: str | None

    @property
    def tested(self) -> set[str]:
        """The domains whose comparison is the primary outcome: a mean over one set is that set."""
        one = f"ood.{self.planned[0]}" if len(self.planned) == 1 else None
        return {"ood", one} if one and self.domain in ("ood", one) else {self.domain}


def plan_of(arms: Sequence[Arm], typed: Sequence[str]) -> Plan:
    """Read from the runs of the arms; typed: the keys that were typed for this evaluation.

    DataError where a run recorded a metric that is none.
    """
    runs = [run for arm in arms for run in arm.runs]
    plans = [run.folder.read_plan() for run in runs]
    foreign = runs[0].config.ood
    known = [plan for plan in plans if plan is not None]
    primary = Primary(**known[0]["primary"]) if known else runs[0].config.evaluation.primary
    planned = [name for name in foreign if known and _is_planned(name, foreign[name], known)]
    why = _why_exploratory(runs[0].config, plans, planned, typed)
    arm = None
    if why is None:
        matching = [one.name for one in arms if _is_meant(one, primary, arms)]
        arm = matching[0] if len(matching) == 1 else None
        if not matching:
            why = f"none of the arms is the one that was named beforehand ({_said(primary.arm)})"
        elif len(matching) > 1:
            why = f"several arms are what was named beforehand ({_said(primary.arm)}): {', '.join(matching)}"
    if arm is None:
        planned = list(foreign)
    try:
        metric = primary_metric(primary)
    except SettingError as error:
        raise DataError(f"{runs[0].folder} was planned for a metric that is not known here: {error}") from error
    return Plan(arm, primary.domain, metric.key, planned, [n for n in foreign if n not in planned], why)


def _why_exploratory(
    config: Config, plans: Sequence[Mapping[str, Any] | None], planned: Sequence[str], typed: Sequence[str]
) -> str | None:
    """Why nothing can be the primary outcome; None where something can."""
    if any(key.startswith("evaluation.primary") for key in typed):
        return "evaluation.primary was typed for this evaluation, after the runs were trained"
    without = sum(plan is None for plan in plans)
    if without:
        return f"{without} of {len(plans)} runs do not record what the study is for"
    known = [plan for plan in plans if plan is not None]
    if any(plan["primary"] != known[0]["primary"] for plan in known):
        return "the runs were started with different primary outcomes"
    if any(plan["ood"].keys() != known[0]["ood"].keys() for plan in known):
        return "the runs were started with different foreign sets"
    domain = known[0]["primary"]["domain"]
    if domain == "in_domain":
        return None
    needed = list(known[0]["ood"]) if domain == "ood" else [domain.removeprefix("ood.")]
    absent = [name for name in needed if name not in planned]
    if absent:
        return f"foreign sets that were planned are not judged as planned: {', '.join(absent)}"
    return None if needed else "no foreign set was planned"


def _is_planned(name: str, settings: Data, plans: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all runs were started with this foreign set; where it lies may differ."""
    unused = settings.unused
    now = {one.key: one.value for one in settings_of(settings) if one.changes != "place" and one.key not in unused}
    # a setting that came later was at its default
    default = {one.key: one.value for one in settings_of(type(settings)())}
    return all(name in plan["ood"] and {k: plan["ood"][name].get(k, default[k]) for k in now} == now for plan in plans)


def _is_meant(arm: Arm, primary: Primary, arms: Sequence[Arm]) -> bool:
    """Whether the arm has all settings of the primary outcome's, and differs from its baseline by nothing else."""
    baseline = baseline_of(arm, list(arms))
    if arm.is_baseline or baseline is None:
        return False
    ours, base = result_settings(arm.runs[0].config), result_settings(baseline.runs[0].config)
    differing = {key for key in ours if ours[key] != base.get(key)}
    return differing <= primary.arm.keys() and all(ours.get(key) == value for key, value in primary.arm.items())


def _said(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items())
