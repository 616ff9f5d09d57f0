"""task=verify: compare finished runs, their evaluations and predictions with data, weights and sums; change nothing."""

from __future__ import annotations

import logging

from entreg.config import Config
from entreg.distributed.ranks import Ranks
from entreg.errors import UserError
from entreg.evaluation import verification
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import typed_keys
from entreg.study.study_cache import StudyCache

log = logging.getLogger(__name__)


def verify(config: Config, folder: RunFolder) -> int:
    """Verify config.runs (default: the newest sweep) and what was made of them; return the number of folders.

    Raises a UserError that lists what differs.
    """
    runs, made = verification.found(config.runs)
    cache, typed = StudyCache(Ranks()), typed_keys(folder.read_typed())
    lines = [line for run in runs for line in verification.of_run(run, config, typed, cache)]
    lines += [line for place in made for line in verification.of_made(place)]
    verified = f"{len(runs)} runs and {len(made)} evaluations and predictions of them"
    if lines:
        raise UserError("\n  ".join([f"{verified}: {len(lines)} differences", *lines]))
    log.info("%s: nothing differs", verified)
    folder.finish()
    return len(runs) + len(made)
