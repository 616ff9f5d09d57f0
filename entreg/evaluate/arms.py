"""How runs form arms: runs that differ by their seeds or fold alone belong together; every arm has its baseline."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from entreg.config import Config
from entreg.errors import UserError
from entreg.run.folder import RunFolder
from entreg.settings import settings_of
from entreg.study.finished import Run

log = logging.getLogger(__name__)

LAMBDA = "loss.lambda_entropy"


@dataclass(frozen=True)
class Arm:
    """Runs whose results are the same but for the noise of training and, in a cross-validation, the fold left out.

    runs: by seed and order seed, each with its folds in order; settings: of the keys by which the arms differ
    published: what is said of the published file that the arm is, or whose parameters its trainings started from
    """

    name: str
    runs: tuple[Run, ...]
    settings: dict[str, Any]
    published: dict[str, Any] | None = None

    @property
    def is_baseline(self) -> bool:
        """Whether the entropy of the bias map played no part in a training of the study."""
        return not self.is_fixed and not self.runs[0].config.loss.regularises

    @property
    def is_fixed(self) -> bool:
        """Whether it is a published model: there is one, and no other training of it could have been run here."""
        return self.runs[0].fixed is not None

    @property
    def seeds(self) -> list[int]:
        """The seed of each training, which in a cross-validation is all of its folds; a published model has none."""
        return [seed for seed, _ in self.replicates]

    @property
    def folds(self) -> int:
        """Runs of one training: the folds of a cross-validation, else 1."""
        return len(self.runs) // max(len(self.replicates), 1)

    @property
    def replicates(self) -> list[tuple[int, int]]:
        """The seed of each training and that of its batch order, without repetition; a published model has none."""
        return [] if self.is_fixed else list(dict.fromkeys(_replicate(run) for run in self.runs))


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
        group = groups.setdefault(tuple(repr(own.get(key)) for key in keys), [])
        same = next((other for other in group if _place(other) == _place(run)), None)
        if same is None:
            group.append(run)
        else:
            log.info("%s is the same run as %s: it counts once", run.folder, same.folder)
    by_group = [result_settings(members[0].config) for members in groups.values()]
    losses = [own["loss.name"] for own in by_group]
    arms = []
    for members, own in zip(groups.values(), by_group, strict=True):
        differing = {key: own.get(key) for key in keys}
        usual = Config(data=type(members[0].config.data)(), loss=type(members[0].config.loss)())
        defaults = {one.key: one.value for one in settings_of(usual) if one.key != LAMBDA}
        name = own["loss.name"]
        if losses.count(name) > 1:
            name += "".join(
                _suffix(key, value)
                for key, value in differing.items()
                if key != "loss.name" and value is not None and value != defaults.get(key)
            )
        arms.append(Arm(name, tuple(sorted(members, key=_place)), differing))
    return sorted(arms, key=lambda arm: (not arm.is_baseline, arm.runs[0].config.loss.lambda_entropy)), keys


def refuse_missing_folds(arms: Sequence[Arm], unfinished: Sequence[RunFolder]) -> None:
    """UserError where several folds were trained, but not all of them for each arm and seed.

    unfinished: trainings that are there and cannot be judged
    """
    if len({run.config.data.fold for arm in arms for run in arm.runs}) == 1:
        return
    lacking = []
    for arm in arms:
        for seed, order in arm.replicates:
            there = [run.config.data for run in arm.runs if _replicate(run) == (seed, order)]
            missing = [k for k in range(there[0].folds) if k not in {data.fold for data in there}]
            if missing:
                of = f"seed {seed}" if order == seed else f"seed {seed}, order seed {order}"
                lacking.append(f"{arm.name}, {of}: data.fold={','.join(map(str, missing))}")
    if lacking:
        left = "".join(f"\n  not finished   {folder}" for folder in unfinished)
        raise UserError(
            f"A cross-validation needs all of its folds. Missing: {'; '.join(lacking)}{left}\n"
            "  train them             the same command with study=NAME goes on\n"
            "  judge one fold alone   runs=FOLDER"
        )


def baseline_of(arm: Arm, arms: list[Arm]) -> Arm | None:
    """The baseline that differs from the arm by its loss alone, else the first one; None where there is none."""
    of_the_loss = {"loss.name", *(f"loss.{key}" for key in arm.runs[0].config.loss.of_bias_map)}

    def others(a: Arm) -> dict[str, Any]:
        return {key: value for key, value in a.settings.items() if key not in of_the_loss}

    baselines = [a for a in arms if a.is_baseline]
    return next((a for a in baselines if others(a) == others(arm)), baselines[0] if baselines else None)


def result_settings(config: Config) -> dict[str, Any]:
    """The settings that change results, by full key; without those of the loss that this run has no use for."""
    unused = {f"loss.{key}" for key in config.loss.unused} | {f"data.{key}" for key in config.data.unused}
    found = {one.key: one.value for one in settings_of(config) if one.changes == "result" and one.key not in unused}
    if not config.loss.regularises:
        found["loss.name"] = "nll"
    return found


def _replicate(run: Run) -> tuple[int, int]:
    return run.config.seed, run.config.order_seed


def _place(run: Run) -> tuple[tuple[int, int], int]:
    return _replicate(run), run.config.data.fold


def _suffix(key: str, value: Any) -> str:
    name = key.removeprefix("loss.").removesuffix("_entropy").replace(".", "_")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"_{name}{value:g}" if number else f"_{name}_{str(value).replace(' ', '')}"
