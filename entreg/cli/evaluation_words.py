"""The words of the evaluation that follows a sweep, here or on SLURM."""

from __future__ import annotations

from collections.abc import Sequence

from entreg.cli.arguments import quoted
from entreg.runs.folder import SweepFolder

# what says where and how the runs are evaluated, and what may be called; all else is read from the folder of each run
KEPT = ("allow", "evaluation", "experiment", "hardware", "paths", "published", "published_component", "store", "study")
PLANNED = "evaluation.primary"  # each run has recorded it; typed for an evaluation, it would count as chosen afterwards


def words_of(jobs: Sequence[Sequence[str]], sweep: SweepFolder) -> list[str]:
    """Return the words of the evaluation: what the jobs' words share on where and how, and what is evaluated.

    jobs: the words of each
    """
    shared = [word for word in jobs[0] if all(word in words for words in jobs)]
    return [*filter(_is_kept, shared), "task=evaluate", f"runs={quoted(str(sweep.path))}"]


def _is_kept(word: str) -> bool:
    key = word.partition("=")[0].lstrip("+~")
    return key.partition(".")[0] in KEPT and not key.startswith(PLANNED)
