"""How runs form arms: runs that differ only by their seeds or fold form one arm, and every arm has its baseline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from entreg.config import Config
from entreg.config.settings import settings_of
from entreg.errors import UserError
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import FinishedRun

log = logging.getLogger(__name__)

LAMBDA = "loss.lambda_entropy"


@dataclass(frozen=True)
class Arm:
    """Runs whose results differ only by the noise of training and, in a cross-validation, by the fold left out.

    runs: ordered by seed, order seed and fold; settings: the settings by which the arms differ
    published: the description of the published file that the arm is, or whose parameters its trainings started from
    row_of: the arm whose settings it shares, where it learned from other sets, see `training_rows.py`; else None
    """

    name: str
    runs: tuple[FinishedRun, ...]
    settings: dict[str, Any]
    published: dict[str, Any] | None = None
    row_of: str | None = None

    @property
    def is_baseline(self) -> bool:
        """Whether the entropy of the bias map played no part in a training of the study."""
        return not self.is_fixed and not self.runs[0].config.loss.regularises

    @property
    def is_fixed(self) -> bool:
        """Whether it is a published model: a single one, of which no other training could have been run here."""
        return self.runs[0].fixed is not None

    @property
    def trained_runs(self) -> tuple[FinishedRun, ...]:
        """The runs that were trained here; a published model has none."""
        return () if self.is_fixed else self.runs

    @property
    def seeds(self) -> list[int]:
        """The seed of each training, all folds of a cross-validation being one; a published model has none."""
        return [seed for seed, _ in self.replicates]

    @property
    def folds(self) -> int:
        """Runs of one training: the folds of a cross-validation, or the sets that were left out, else 1."""
        return len(self.runs) // max(len(self.replicates), 1)

    @property
    def left_out(self) -> list[str]:
        """The sets that were left out, each by one run of every training."""
        return sorted({name for run in self.runs for name in run.left_out})

    @property
    def replicates(self) -> list[tuple[int, int]]:
        """The seed and the order seed of each training, without repetition; a published model has none."""
        return [] if self.is_fixed else list(dict.fromkeys(_replicate(run) for run in self.runs))


def arms_of(runs: Sequence[FinishedRun], leave_aside: Collection[str] = ()) -> tuple[list[Arm], list[str]]:
    """Return the arms, baselines first, and the full keys of the settings by which they differ.

    These are all settings that were swept, except the seed. leave_aside: keys, or groups of keys, that make no arms

    An arm is named after its loss, or `nll` where lambda is 0. Where a loss occurs with several settings, its lambda
    and all settings that are not at their defaults are appended. Of runs that differ only by settings that they do not
    use, one counts and the log names the others.
    """
    settings = [
        {key: value for key, value in result_settings(run.config).items() if not _is_of(key, leave_aside)}
        for run in runs
    ]
    # a setting that some runs do not use (lambda, for the baseline) tells only those arms apart that use it
    keys = sorted(
        key for key in set().union(*settings) if len({repr(of_run[key]) for of_run in settings if key in of_run}) > 1
    )
    groups: dict[tuple[str, ...], list[FinishedRun]] = {}
    for run, of_run in zip(runs, settings, strict=True):
        group = groups.setdefault(tuple(repr(of_run.get(key)) for key in keys), [])
        twin = next((other for other in group if _place(other) == _place(run)), None)
        if twin is None:
            group.append(run)
        else:
            log.info("%s is the same run as %s: it counts once", run.folder, twin.folder)
    by_group = [result_settings(members[0].config) for members in groups.values()]  # loss.name is never left aside
    losses = [of_group["loss.name"] for of_group in by_group]
    arms = []
    for members, of_group in zip(groups.values(), by_group, strict=True):
        differing = {key: of_group.get(key) for key in keys}
        default = Config(data=type(members[0].config.data)(), loss=type(members[0].config.loss)())
        defaults = {setting.key: setting.value for setting in settings_of(default) if setting.key != LAMBDA}
        name = of_group["loss.name"]
        if losses.count(name) > 1:
            name += "".join(
                _suffix(key, value)
                for key, value in differing.items()
                if key != "loss.name" and value is not None and value != defaults.get(key)
            )
        arms.append(Arm(name, tuple(sorted(members, key=_place)), differing))
    return sorted(arms, key=lambda arm: (not arm.is_baseline, arm.runs[0].config.loss.lambda_entropy)), keys


def refuse_missing_folds(arms: Sequence[Arm], unfinished: Sequence[RunFolder]) -> None:
    """Raise a UserError where several folds were trained, but not all of them for each arm and seed.

    It is also raised where these are folds of several sets.

    unfinished: trainings in the same folders that have not finished
    """
    if any(len(folds) > 1 for arm in arms for folds in _folds_of_sets(arm).values()):
        raise UserError(
            "The runs differ in sets.NAME.fold: a cross-validation learns from one set alone (data=NAME)\n"
            "  evaluate one fold alone   runs=FOLDER"
        )
    if len({_fold(run) for arm in arms for run in arm.runs}) == 1:
        return

    def missing(runs: Sequence[FinishedRun]) -> list[str]:
        trained = {run.config.data.fold for run in runs}
        return [str(fold) for fold in range(runs[0].config.data.folds) if fold not in trained]

    gaps = _gaps(arms, "data.fold", missing)
    if gaps:
        _refuse_gaps("A cross-validation needs all of its folds", gaps, unfinished, "one fold")


def refuse_missing_sets(arms: Sequence[Arm], unfinished: Sequence[RunFolder]) -> None:
    """Raise a UserError where a set was left out by some trainings and not by others.

    unfinished: trainings in the same folders that have not finished
    """
    every = {tuple(run.left_out) for arm in arms for run in arm.trained_runs}

    def missing(runs: Sequence[FinishedRun]) -> list[str]:
        return sorted("+".join(names) or "null" for names in every - {tuple(run.left_out) for run in runs})

    gaps = _gaps(arms, "leave_out", missing)
    if gaps:
        _refuse_gaps("Every training must leave out the same sets", gaps, unfinished, "some")


def baseline_of(arm: Arm, arms: list[Arm]) -> Arm | None:
    """Return the baseline that differs from the arm only by its loss, else the first one; None where there is none."""
    loss_keys = {"loss.name", *(f"loss.{key}" for key in arm.runs[0].config.loss.bias_map_settings)}

    def other_settings(arm: Arm) -> dict[str, Any]:
        return {key: value for key, value in arm.settings.items() if key not in loss_keys}

    baselines = [candidate for candidate in arms if candidate.is_baseline]
    closest = (baseline for baseline in baselines if other_settings(baseline) == other_settings(arm))
    return next(closest, baselines[0] if baselines else None)


def result_settings(config: Config) -> dict[str, Any]:
    """Return the settings that change results, by full key, without those that this run does not use."""
    unused = {f"loss.{key}" for key in config.loss.unused}
    unused |= {f"{key}.{name}" for key, of_set in config.data_sets.items() for name in of_set.unused}
    settings = {
        # in whatever order the items of a mapping were typed
        setting.key: dict(sorted(setting.value.items())) if isinstance(setting.value, dict) else setting.value
        for setting in settings_of(config)
        if setting.affects == "result" and setting.key not in unused
    }
    if config.sets:  # `data` is one of them
        settings = {key: value for key, value in settings.items() if not key.startswith("data.") or key == "data.name"}
        settings["sets"] = [*config.sets]
    if not config.loss.regularises:
        settings["loss.name"] = "nll"
    return settings


def _is_of(key: str, groups: Collection[str]) -> bool:
    return any(key == group or key.startswith(f"{group}.") for group in groups)


def _folds_of_sets(arm: Arm) -> dict[str, set[int]]:
    """Return by set the folds that runs of several sets validated on."""
    folds: dict[str, set[int]] = {}
    for run in arm.runs:
        for name, settings in run.config.sets.items() if len(run.config.sets) > 1 else ():
            folds.setdefault(name, set()).add(settings.fold)
    return folds


def _fold(run: FinishedRun) -> int:
    """Return the fold that a run of a single set validated on; several sets have no cross-validation."""
    return 0 if len(run.config.sets) > 1 else run.config.data.fold


def _gaps(arms: Sequence[Arm], key: str, missing: Callable[[Sequence[FinishedRun]], Sequence[str]]) -> list[str]:
    """Return in words the trainings that lack runs; missing: the values of the setting `key` that some runs lack."""
    return [
        f"{arm.name}, {_in_words(replicate)}: {key}={','.join(lacking)}"
        for arm in arms
        for replicate in arm.replicates
        if (lacking := missing([run for run in arm.runs if _replicate(run) == replicate]))
    ]


def _refuse_gaps(why: str, gaps: Sequence[str], unfinished: Sequence[RunFolder], alone: str) -> NoReturn:
    not_finished = "".join(f"\n  not finished   {folder}" for folder in unfinished)
    raise UserError(
        f"{why}. Missing: {'; '.join(gaps)}{not_finished}\n"
        "  train them                the same command with study=NAME goes on\n"
        f"  {f'evaluate {alone} alone':24}  runs=FOLDER"
    )


def _in_words(replicate: tuple[int, int]) -> str:
    seed, order = replicate
    return f"seed {seed}" if order == seed else f"seed {seed}, order seed {order}"


def _replicate(run: FinishedRun) -> tuple[int, int]:
    """Return the seed and the order seed of a run, which all folds of a training share."""
    return run.config.seed, run.config.order_seed


def _place(run: FinishedRun) -> tuple[Any, ...]:
    """Return what tells a run apart within its arm."""
    return _replicate(run), run.config.data.fold, tuple(run.left_out), run.trained_on, run.in_folds


def _suffix(key: str, value: Any) -> str:
    """Return what is appended to an arm's name for a setting, of a mapping for each of its items."""
    if isinstance(value, dict):
        return "".join(_suffix(f"{key}.{name}", below) for name, below in value.items())
    if isinstance(value, list):
        value = "+".join(map(str, value))
    name = key.removeprefix("loss.").removesuffix("_entropy").replace(".", "_")
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"_{name}{value:g}" if is_number else f"_{name}_{str(value).replace(' ', '')}"
