"""The evaluation of a sweep that was run here, which follows when all of its runs have finished (`sweep.evaluate`)."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence

from entreg.cli import composition
from entreg.cli.arguments import quoted
from entreg.cli.evaluation_words import words_of
from entreg.runs.folder import SweepFolder


def words_here(jobs: Sequence[Sequence[str]], sweep: SweepFolder) -> list[str]:
    """Return the words of the evaluation as a command of its own.

    jobs: the words of each job of the sweep
    """
    # an experiment may hold a sweep, and its launcher
    alone = ["hydra.mode=RUN", "hydra/launcher=basic", f"hydra.run.dir={quoted(str(sweep.evaluation.path))}"]
    return [*words_of(jobs, sweep), *alone]


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
