"""Runs of a sweep that are trained together, in one process for each rank: who can, and what each leaves behind."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from entreg import errors, files
from entreg.config import Config
from entreg.errors import UserError
from entreg.ranks import Ranks
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically, keep_freed_memory
from entreg.run.launch import LOG_FORMAT, launch
from entreg.run.logs import about, logs_of
from entreg.study.study import Stages, Study
from entreg.train.company import Company
from entreg.train.trainer import Trainer, finished_before, record_start, seed_everything

log = logging.getLogger(__name__)

Run = tuple[Config, RunFolder]
# what may differ between runs that are trained together, beside the order seed's origin
OWN = ("loss", "optim", "evaluation", "ood", "seed", "study", "runs")


def shared(config: Config) -> str:
    """All settings that runs must agree in to be trained together: what they read, in which order, on which devices."""
    own = {"epochs": 0, "checkpoint_every": 0, "order_seed": config.order_seed}
    plain = dataclasses.asdict(dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, **own)))
    plain["model"]["sigma_px"] = None
    return repr({key: value for key, value in plain.items() if key not in OWN})


def groups(configs: Sequence[Config], most: int | None = None) -> list[list[int]]:
    """Numbers of the configs that are trained together, in the order in which the first of each group comes.

    most: of a group
    """
    by_shared: dict[str, list[int]] = {}
    for number, config in enumerate(configs):
        by_shared.setdefault(shared(config), []).append(number)
    size = most or len(configs)
    return [same[k : k + size] for same in by_shared.values() for k in range(0, len(same), size)]


def train_together(runs: Sequence[Run], refused: Sequence[bool]) -> list[float | UserError | None]:
    """Trains runs that agree in what they share, each in its folder; of each the last validation IG, or why it failed.

    refused: which of the runs are left out. None for those, and for all where they stopped to be requeued.
    """
    before: dict[int, float | UserError | None] = {}  # what is known of runs that are not trained now
    for number, (_, folder) in enumerate(runs):
        try:
            if not refused[number] and finished_before(folder):
                before[number] = folder.last_ig_bits()
        except UserError as error:
            log.error("%s is left out: %s", folder, error)
            files.write_text(folder.failure, str(error))
            before[number] = error
    left = [number for number in range(len(runs)) if not refused[number] and number not in before]
    if not left:
        return [before.get(number) for number in range(len(runs))]
    found = launch(partial(_train, list(runs), left), *runs[left[0]])
    if found is None:
        return [None] * len(runs)
    found = [_error(*one) if isinstance(one, tuple) else one for one in found]
    return [before.get(number, one) for number, one in enumerate(found)]


def _train(
    runs: list[Run], left: list[int], ranks: Ranks, config: Config, folder: RunFolder
) -> list[float | tuple[str, str] | None]:
    """One rank's part. Of each run its IG, or its error's name and message: an exception of ours need not travel.

    left: numbers of the runs that are to be trained
    """
    compute_deterministically()
    keep_freed_memory()
    stages = Stages(ranks)
    found: list[float | tuple[str, str] | None] = [None] * len(runs)
    numbers = {own: number for number, (_, own) in enumerate(runs)}

    def leave(own: RunFolder, error: UserError) -> None:
        found[numbers[own]] = type(error).__name__, str(error)
        if ranks.is_first:
            with about(own):
                log.error("%s left the others: %s", own, error)
            files.write_text(own.failure, str(error))

    with logs_of([runs[number][1] for number in left], LOG_FORMAT) if ranks.is_first else nullcontext():
        trainers = []
        for number in left:
            own_config, own = runs[number]
            with about(own):
                seed_everything(own_config.seed)
                try:
                    study = Study(own_config, stages)
                    trainer = Trainer(study, own)
                except UserError as error:
                    leave(own, error)
                    continue
                if ranks.is_first:
                    record_start(trainer, study)
                trainers.append(trainer)
        if not trainers:
            return found
        names = ", ".join(trainer.folder.path.name for trainer in trainers)
        log.info("%d runs are trained together: %s", len(trainers), names)
        for trainer, bias_map in Company(trainers, lambda trainer, error: leave(trainer.folder, error)).run():
            with about(trainer.folder):
                trainer.finish(bias_map)
                found[numbers[trainer.folder]] = trainer.history[-1]["validation_ig_bits_per_fixation"]
                if ranks.is_first:
                    log.info("finished: %s", trainer.folder.final)
    return found


def _error(name: str, text: str) -> UserError:
    kind = getattr(errors, name, UserError)
    return kind(text) if isinstance(kind, type) and issubclass(kind, UserError) else UserError(text)
