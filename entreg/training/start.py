"""What precedes the first step of a training: is it finished already, and what is recorded of its start."""

from __future__ import annotations

import logging
import random
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch

from entreg.command_line import command
from entreg.priors import center_bias_file
from entreg.runs import checkpoint, foreign_code, migrations
from entreg.runs.folder import RunFolder
from entreg.runs.provenance import provenance
from entreg.study import changed_sets
from entreg.study.finished_run import typed_keys
from entreg.study.look import is_first_look
from entreg.study.study import Study
from entreg.training.trainer import Trainer
from entreg.version import VERSION

log = logging.getLogger(__name__)

# groups of settings that task=preview shows, or finds the data by
SHOWN = ("data", "sets", "ood", "experiment", "paths")


def finished_before(folder: RunFolder) -> bool:
    """Return whether the run has finished and owes nothing. A final checkpoint that is damaged is set aside."""
    if not (folder.is_trained and checkpoint.newest([folder.final])) or folder.owes_pictures:
        return False
    log.info("finished before: %s", folder.final)
    folder.last.unlink(missing_ok=True)  # the run may have been killed between its last two steps
    return True


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and PyTorch."""
    for set_seed in (random.seed, np.random.seed, torch.manual_seed):
        set_seed(seed)


def advise_a_look(study: Study, folder: RunFolder) -> None:
    """Log the command that shows the data set, where this is its first training and nobody has looked at it before."""
    config = study.config
    unseen = [
        settings.name
        for settings, fingerprint in zip(study.trained_on.sets, study.set_fingerprints, strict=True)
        if not settings.embedded and is_first_look(Path(config.paths.store), fingerprint)
    ]
    if not unseen:
        return
    typed = folder.read_typed() or []
    kept = [word for word, key in zip(typed, typed_keys(typed), strict=True) if key.partition(".")[0] in SHOWN]
    # an experiment may hold a sweep
    mode = ["hydra.mode=RUN"] * any(key == "experiment" for key in typed_keys(typed))
    log.warning(
        "nobody has looked at %s before; to look: %s", ", ".join(unseen), command(["task=preview", *kept, *mode])
    )


def record_start(trainer: Trainer, study: Study) -> None:
    """Write the config, the plan, the centre bias and the provenance of this start into the run's folder."""
    config, folder = study.config, trainer.folder
    earlier_starts = folder.starts()
    folder.write_config(config)
    if not (folder.unfinished() and folder.fingerprints.is_file()):  # what was trained on is what counts
        changed_sets.record(folder, study.sets)
    if not earlier_starts:
        folder.write_plan(config)
    seeds = {
        "run": config.seed,
        "order": config.order_seed,
        "split": config.data.split_seed,
        "sample": config.data.sample_seed,
    }
    start = provenance(
        study.ranks.device.type,
        seeds,
        fingerprints=trainer.fingerprints,
        features=trainer.training.recipe.describe(trainer.training.sizes),
        precision=str(trainer.precision),
        sets=study.images_by_set(),
        called_packages=foreign_code.versions_of(config),
    )
    if earlier_starts:
        foreign_code.warn_of_other_versions(folder, earlier_starts[-1].get("called_packages", {}), config)
        code = earlier_starts[-1].get("code", start["code"])
        if code != start["code"]:
            log.warning("the code changed since this run was last started: then %s, now %s", code, start["code"])
        version = earlier_starts[0].get("version", migrations.UNRECORDED)
        if version != VERSION:
            log.warning(
                "%s was begun by version %s; this is version %s, so that its last digits may differ",
                folder,
                version,
                VERSION,
            )
    folder.add_start(start | {"started": datetime.now(timezone.utc).isoformat(timespec="seconds")})
    center_bias_file.write(folder.center_bias, study.center_bias)
