"""An evaluation of runs that learned from different sets, made up by the evaluation's own arithmetic."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from entreg.evaluation.matrix import matrix_of
from entreg.report.page import Content
from entreg.results.answer import answer_of
from entreg.results.schema import BASELINE, SINGLE_SETS, Plan
from tests.evaluation.judged_sets import judged
from tests.report.findings import findings

SCATTER = 0.02


def level(row: tuple[str, ...], name: str) -> float:
    """2 bit in domain; on a set that was left out 1, and 0.2 more where all others were learned from."""
    return 2.0 if name in row else 1.2 if len(row) == 2 else 1.0


def better(row: tuple[str, ...], name: str) -> float:
    """0.5 bit more than `level`, and as much less where b was learned from."""
    return level(row, name) + (-0.5 if "b" in row else 0.5)


def content_of(
    folder: Path, against: str = SINGLE_SETS, planned: bool = True, main: str | None = None, **settings
) -> Content:
    """What a page shows where the baseline's runs learned from different sets.

    against, planned: whether pooled against single sets is the primary outcome; settings: see `judged`
    main: a set; the regularised arm's runs then learned from different sets, too, and arms are compared by those of it
    """
    content = findings(folder)
    plan = Plan(
        "nll" if planned else None, "left_out", "ig_bits_per_fixation", [], [], None if planned else "so", against
    )
    scored = {"nll": judged(level, scatter=SCATTER, **settings)}
    if main is not None:
        scored["nll_entropy"] = judged(better, scatter=2 * SCATTER, **settings)
    matrix = matrix_of(scored, plan, {"nll_entropy": "nll"} if main else {})
    for name, arm in matrix.arms.items() if main else ():
        arm.runs[main] = content.results.arms[name].runs
    results = dataclasses.replace(content.results, matrix=matrix)
    if against != BASELINE:
        results = dataclasses.replace(results, primary=plan)
    return dataclasses.replace(content, results=dataclasses.replace(results, answer=answer_of(results)))
