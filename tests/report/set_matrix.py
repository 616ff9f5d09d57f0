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


def content_of(folder: Path, against: str = SINGLE_SETS, planned: bool = True, **settings) -> Content:
    """What a page shows where the baseline's runs learned from different sets.

    against, planned: whether pooled against single sets is the primary outcome; settings: see `judged`
    """
    content = findings(folder)
    plan = Plan(
        "nll" if planned else None, "left_out", "ig_bits_per_fixation", [], [], None if planned else "so", against
    )
    matrix = matrix_of({"nll": judged(level, scatter=SCATTER, **settings)}, plan)
    results = dataclasses.replace(content.results, matrix=matrix)
    if against != BASELINE:
        results = dataclasses.replace(results, primary=plan)
    return dataclasses.replace(content, results=dataclasses.replace(results, answer=answer_of(results)))
