"""The evaluation of a sweep that was run here, which follows when all of its runs have finished (`sweep.evaluate`)."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence

from entreg.cli import composition
from entreg.cli.arguments import quoted
from entreg.runs.folder import SweepFolder

# what jobs are told of this machine and of what they may call, which holds for their evaluation as well
KEPT = ("paths.", "hardware", "allow=")


def words_of(jobs: Sequence[Sequence[str]], sweep: SweepFolder) -> list[str]:
    """Return the words of the evaluation: what is evaluated, where, and what its jobs share of this machine."""
    shared = [word for word in jobs[0] if word.startswith(KEPT) and all(word in words for words in jobs)]
    place = [f"runs={quoted(str(sweep.path))}", f"hydra.run.dir={quoted(str(sweep.evaluation.path))}"]
    return [*shared, "task=evaluate", *place]


def evaluate(words: Sequence[str]) -> None:
    """Run the evaluation in a process of its own, since Hydra runs once in each. Exits as it does where it fails."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(list(words),))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)


def _run(words: list[str]) -> None:
    sys.argv[1:] = words
    composition.register()
    composition.run()
