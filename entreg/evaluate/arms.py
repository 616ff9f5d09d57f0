"""How runs form arms: runs that differ by their seeds alone belong together, and every arm has its baseline."""
from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from entreg.config import Config, Loss
from entreg.evaluate.runs import Run
from entreg.settings import settings_of

log = logging.getLogger(__name__)

LAMBDA = "loss.lambda_entropy"


@dataclass(frozen=True)
class Arm:
    """Runs whose results are the same but for the noise of training.

    settings: of the keys by which the arms differ
    """

    name: str
    runs: tuple[Run, ...]
    settings: dict[str, Any]

    @property
    def is_baseline(self) -> bool:
        """Whether the entropy of the bias map played no part."""
        return not self.runs[0].config.loss.regularises

    @property
    def seeds(self) -> list[int]:
        """The seed of each run."""
        return [run.config.seed for run in self.runs]

    @property
    def replicates(self) -> list[tuple[int, int]]:
        """The seed of each run and that of its batch order."""
        return [_replicate(run) for run in self.runs]


def arms_of(runs: list[Run]) -> tuple[list[Arm], list[str]]:
    """Arms, baselines first, and the full keys by which they differ (whatever was swept, the seed aside).

    An arm is named by its loss, of which lambda 0 makes `nll`. Where a loss occurs with several settings its lambda is
    appended, and what is not at its default. Of runs that differ by nothing but what they have no use for one counts:
    the log names the others.
    """
    settings = [result_settings(run.config) for run in runs]
    # a key that some runs have no use for (lambda, for the baseline) tells arms apart only among those that have one
    keys = sorted(key for key in set().union(*settings) if len({repr(s[key]) for s in settings if key in s}) > 1)
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run, own in zip(runs, settings, strict=True):
        seeds = groups.setdefault(tuple(repr(own.get(key)) for key in keys), [])
        same = next((other for other in seeds if _replicate(other) == _replicate(run)), None)
        if same is None:
            seeds.append(run)
        else:
            log.info("%s is the same run as %s: it counts once", run.folder, same.folder)
    by_group = [result_settings(group[0].config) for group in groups.values()]
    losses = [own["loss.name"] for own in by_group]
    usual = Config(data=type(runs[0].config.data)(), loss=Loss(name="nll_entropy"))
    defaults = {one.key: one.value for one in settings_of(usual) if one.key != LAMBDA}
    arms = []
    for group, own in zip(groups.values(), by_group, strict=True):
        differing = {key: own.get(key) for key in keys}
        name = own["loss.name"]
        if losses.count(name) > 1:
            name += "".join(
                _suffix(key, value) for key, value in differing.items()
                if key != "loss.name" and value is not None and value != defaults.get(key)
            )
        arms.append(Arm(name, tuple(sorted(group, key=_replicate)), differing))
    return sorted(arms, key=lambda arm: (not arm.is_baseline, arm.runs[0].config.loss.lambda_entropy)), keys


def _replicate(run: Run) -> tuple[int, int]:
    return run.config.seed, run.config.order_seed


def baseline_of(arm: Arm, arms: list[Arm]) -> Arm | None:
    """The baseline that differs from the arm by its loss alone, else the first one; None where there is none."""
    of_the_loss = {"loss.name", *(f"loss.{key}" for key in Loss(name="nll").unused)}

    def others(a: Arm) -> dict[str, Any]:
        return {key: value for key, value in a.settings.items() if key not in of_the_loss}

    baselines = [a for a in arms if a.is_baseline]
    return next((a for a in baselines if others(a) == others(arm)), baselines[0] if baselines else None)


def result_settings(config: Config) -> dict[str, Any]:
    """The settings that change results, by full key; without those of the loss that this run has no use for."""
    unused = {f"loss.{key}" for key in config.loss.unused}
    found = {one.key: one.value for one in settings_of(config) if one.changes == "result" and one.key not in unused}
    if not config.loss.regularises:
        found["loss.name"] = "nll"
    return found


def _suffix(key: str, value: Any) -> str:
    name = key.removeprefix("loss.").removesuffix("_entropy").replace(".", "_")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"_{name}{value:g}" if number else f"_{name}_{str(value).replace(' ', '')}"
