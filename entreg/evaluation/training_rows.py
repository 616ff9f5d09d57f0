"""Runs that learned from different sets: what judges each of them, and which of them the arms are compared by.

A set judges a run as foreign, by all of its images, where the run did not learn from it, and in domain, by its
validation images, where it did. Runs that learned from the same sets are a row of the matrix of sets (`matrix.py`).
The arms are compared by one kind of row: by the runs that learned from all sets but one, where each set was left out,
else by those that learned from most sets. Each row is compared beside the matrix (`row_comparisons.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Sequence
from pathlib import Path

from entreg.config import Data
from entreg.config.settings import settings_of
from entreg.errors import UserError
from entreg.evaluation.arms import Arm, arms_of, baseline_of
from entreg.study.finished_run import FinishedRun

OF_ROWS = ("data", "sets")  # groups of settings that say which sets a run learned from
SHARES = ("sets_images", "sets_images_seed", "sets_weight")  # which may differ from row to row, but within none
Share = tuple[int, int] | None  # the number of images that are drawn, and the seed that draws them; None: all images


def judged_on_all_sets(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Return the runs as they are judged beside others that learned from other sets.

    Runs of a cross-validation of one set are judged by the fold that they left out alone. Where no other run learned
    from that set alone, the fold that the other runs validate on counts as such a run as well. Runs that all learned
    from the same sets, or left out one of them, are returned as they are.

    Raises a UserError where two runs read a set by different settings.
    """
    if not _learned_from_different_sets(runs):
        return list(runs)
    sets = _sets_of(runs)
    folds = {name: _folds_of(name, runs) for name in sets}
    placed = []
    for run in runs:
        others = tuple(of_set for name, of_set in sets.items() if name not in {*run.trained_on, run.config.leave_out})
        in_folds = len(run.trained_on) == 1 and _share(run) in folds[run.trained_on[0]].crossed
        stands_alone = not in_folds or run.config.data.fold == folds[run.trained_on[0]].alone
        placed.append(dataclasses.replace(run, not_learned=others if stands_alone else (), in_folds=in_folds))
    return placed


def arms_by_rows(runs: Sequence[FinishedRun]) -> tuple[list[Arm], list[str]]:
    """Return the arms that are compared, then those of the other rows, and the keys by which the former differ.

    runs: see `judged_on_all_sets`
    """
    if not any(run.not_learned or run.in_folds for run in runs):
        return arms_of(runs)
    shares: dict[tuple[tuple[str, ...], bool], set[str]] = {}
    for run in runs:
        of_row = shares.setdefault((run.trained_on, run.in_folds), set())
        of_row.add(repr([getattr(run.config, key) for key in SHARES]))
    differ_within_rows = any(len(of_row) > 1 for of_row in shares.values())
    arms, keys = arms_of(runs, OF_ROWS if differ_within_rows else (*OF_ROWS, *SHARES))
    main = {run.folder.path for run in _main(runs)}
    compared = [
        dataclasses.replace(arm, runs=of_main)
        for arm in arms
        if (of_main := tuple(run for run in arm.runs if run.folder.path in main))
    ]
    return [*compared, *(row for arm in arms for row in _rows_beside(arm, main))], keys


def baselines_of_rows(arms: Sequence[Arm]) -> dict[str, str]:
    """Return the name of each arm's baseline, see `baseline_of`; an arm that is one itself, or has none, has no key.

    arms: see `arms_by_rows`; what an arm is called is the same in all rows
    """
    firsts: dict[str, Arm] = {}
    for arm in arms:
        firsts.setdefault(arm.row_of or arm.name, dataclasses.replace(arm, name=arm.row_of or arm.name))
    found = {name: baseline_of(arm, [*firsts.values()]) for name, arm in firsts.items()}
    return {name: baseline.name for name, baseline in found.items() if baseline and baseline.name != name}


def cross_validations(arms: Sequence[Arm]) -> list[Arm]:
    """Return the cross-validations of single sets: an arm for each, with the runs of all of its folds."""
    folds: dict[str, list[FinishedRun]] = {}
    for arm in arms:
        for run in arm.runs:
            if run.in_folds:
                folds.setdefault(f"{arm.row_of or arm.name}, {run.trained_on[0]}", []).append(run)
    return [Arm(words, tuple(of_set), {}) for words, of_set in folds.items()]


@dataclasses.dataclass(frozen=True)
class _Folds:
    """The folds of a set on which runs of this set alone validated.

    crossed: what tells the runs that are a cross-validation from others with fewer images, see `_share`
    alone: the fold of which a run counts as one that learned from the set alone; None: others did so
    """

    crossed: set[Share]
    alone: int | None


def _folds_of(name: str, runs: Sequence[FinishedRun]) -> _Folds:
    single = [run for run in runs if run.trained_on == (name,)]
    shares = {_share(run) for run in single}
    crossed = {s for s in shares if len({run.config.data.fold for run in single if _share(run) == s}) > 1}
    if crossed != shares or not crossed:
        return _Folds(crossed, None)
    beside = [run.config.sets[name].fold for run in runs if name in run.config.sets and run.trained_on != (name,)]
    return _Folds(crossed, beside[0] if beside else min(run.config.data.fold for run in single))


def _share(run: FinishedRun) -> Share:
    """Return which of a single set's images a run learned from: their number, and the seed that draws them."""
    images = run.config.sets_images
    return None if images is None else (images, run.config.sets_images_seed)


def _learned_from_different_sets(runs: Sequence[FinishedRun]) -> bool:
    if len({run.trained_on for run in runs}) == 1 or not any(run.config.sets for run in runs):
        return False
    return len({tuple(run.config.sets) for run in runs}) > 1 or any(run.config.leave_out is None for run in runs)


def _sets_of(runs: Sequence[FinishedRun]) -> dict[str, Data]:
    """Return all sets that any of the runs learned from or left out, in the order of their names."""
    sets: dict[str, tuple[Data, FinishedRun]] = {}
    for run in sorted(runs, key=lambda run: not run.config.sets):
        for settings in run.config.sets.values() or [run.config.data]:
            first, of_run = sets.setdefault(settings.name, (settings, run))
            now, then = _result_settings(settings), _result_settings(first)
            differing = sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key))
            if differing:
                raise UserError(
                    f"{run.folder} reads {settings.name} by other settings than {of_run.folder}, so that they cannot "
                    f"be compared: {', '.join(differing)}\n"
                    "  evaluate them separately   runs=FOLDER"
                )
    return {name: sets[name][0] for name in sorted(sets)}


def _result_settings(settings: Data) -> dict[str, object]:
    unused = settings.unused
    return {one.key: one.value for one in settings_of(settings) if one.affects == "result" and one.key not in unused}


def _main(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Return the runs by which the arms are compared.

    Of several rows that learned from most sets these are the first by name, and no plan is about them, see `plan_of`.
    Each row is compared by itself in `row_comparisons.py`.
    """
    sets = {name for run in runs for name in (*run.trained_on, *run.left_out)}
    alone = [run for run in runs if not run.in_folds or run.not_learned]
    all_but_one = [run for run in alone if len(run.left_out) == 1]
    if {name for run in all_but_one for name in run.left_out} == sets:
        return all_but_one
    most = min((run.trained_on for run in alone), key=lambda names: (-len(names), names))
    return [run for run in alone if run.trained_on == most]


def _rows_beside(arm: Arm, main: Container[Path]) -> list[Arm]:
    """Return an arm's runs that are not compared: an arm for each row, and for each cross-validation."""
    rows: dict[str, list[FinishedRun]] = {}
    for run in sorted(arm.runs, key=lambda run: (run.in_folds, len(run.trained_on), run.trained_on)):
        if run.folder.path not in main:
            words = f"{arm.name}, trained on {' + '.join(run.trained_on)}{', in folds' if run.in_folds else ''}"
            rows.setdefault(words, []).append(run)
    return [Arm(words, tuple(of_row), arm.settings, row_of=arm.name) for words, of_row in rows.items()]
