"""The training of a group of runs, in one process for each rank; every run writes into its own folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from entreg import errors
from entreg.config import Config
from entreg.data.image_hashes import KnownHashes
from entreg.distributed.hardware import compute_deterministically, keep_freed_memory
from entreg.distributed.launch import LOG_FORMAT, launch
from entreg.distributed.ranks import Ranks
from entreg.errors import UserError
from entreg.io import files
from entreg.runs.folder import RunFolder
from entreg.runs.log_routing import about, logs_of
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.training.start import advise_a_look, finished_before, record_start, seed_everything
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup

log = logging.getLogger(__name__)

Run = tuple[Config, RunFolder]
Outcome = float | tuple[str, str] | None  # a run's last validation IG, or the class name and message of its error


def train_together(runs: Sequence[Run], refused: Sequence[bool]) -> list[float | UserError | None]:
    """Train the runs of a group, each in its folder; return for each run its last validation IG, or why it failed.

    refused: which of the runs are left out. The result is None for these, and for all runs where the training was
        stopped in order to be requeued.
    """
    results: list[float | UserError | None] = [None] * len(runs)
    to_train = []
    for number, (_, folder) in enumerate(runs):
        if refused[number]:
            continue
        try:
            if finished_before(folder):
                results[number] = folder.last_ig_bits()
            else:
                to_train.append(number)
        except UserError as error:
            log.error("%s is left out: %s", folder, error)
            files.write_text(folder.failure, str(error))
            results[number] = error
    if not to_train:
        return results
    outcomes = launch(partial(_train_on_rank, [runs[number] for number in to_train]), *runs[to_train[0]])
    if outcomes is None:
        return [None] * len(runs)
    for number, outcome in zip(to_train, outcomes, strict=True):
        results[number] = _error(*outcome) if isinstance(outcome, tuple) else outcome
    return results


def _train_on_rank(runs: list[Run], ranks: Ranks, config: Config, folder: RunFolder) -> list[Outcome]:
    """Train the runs on one rank. Return names and messages of errors, since not every exception can be pickled."""
    compute_deterministically()
    keep_freed_memory()
    outcomes: dict[RunFolder, Outcome] = {folder: None for _, folder in runs}

    def on_failure(folder: RunFolder, error: UserError) -> None:
        outcomes[folder] = type(error).__name__, str(error)
        if ranks.is_first:
            with about(folder):
                log.error("%s failed, the other runs go on: %s", folder, error)
            files.write_text(folder.failure, str(error))

    with logs_of([*outcomes], LOG_FORMAT) if ranks.is_first else nullcontext():
        trainers = []
        cache = StudyCache(ranks, KnownHashes(Path(config.paths.store), writes=ranks.is_first))
        for run_config, run_folder in runs:
            with about(run_folder):
                seed_everything(run_config.seed)
                try:
                    study = Study(run_config, cache)
                    if ranks.is_first:
                        advise_a_look(study, run_folder)
                    trainer = Trainer(study, run_folder)
                except UserError as error:
                    on_failure(run_folder, error)
                    continue
                if ranks.is_first:
                    record_start(trainer, study)
                trainers.append(trainer)
        if trainers:
            names = ", ".join(trainer.folder.path.name for trainer in trainers)
            log.info("%d runs are trained together: %s", len(trainers), names)
            group = TrainingGroup(trainers, lambda trainer, error: on_failure(trainer.folder, error))
            for trainer, bias_map in group.run():
                with about(trainer.folder):
                    trainer.finish(bias_map)
                    outcomes[trainer.folder] = trainer.history[-1]["validation_ig_bits_per_fixation"]
                    if ranks.is_first:
                        log.info("finished: %s", trainer.folder.final)
    return [*outcomes.values()]


def _error(name: str, message: str) -> UserError:
    """Return the error of that class name, or a UserError where `entreg.errors` has no such class."""
    kind = getattr(errors, name, UserError)
    return kind(message) if isinstance(kind, type) and issubclass(kind, UserError) else UserError(message)
