"""The matrix of sets: what was learned from by what is judged. This is arithmetic alone: no model is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from entreg.evaluation.matrix_rows import ArmRows, Judged
from entreg.evaluation.pooled_or_single import pooled_or_single
from entreg.evaluation.row_comparisons import row_comparisons
from entreg.evaluation.set_bars import bars
from entreg.results.schema import ArmMatrix, Plan, SetMatrix


def matrix_of(judged: Mapping[str, Sequence[Judged]], plan: Plan, baselines: Mapping[str, str]) -> SetMatrix | None:
    """Return the matrix of each arm; None where all runs learned from the same sets, or each left out one of them.

    judged: by arm, what each of its runs scores in each domain; baselines: by arm, the name of its baseline
    """
    arms = {name: ArmRows(of_arm) for name, of_arm in judged.items()}
    sets = sorted({name for rows in arms.values() for name in rows.sets})
    all_but_one = {tuple(other for other in sets if other != name) for name in sets}
    learned_from = {row for rows in arms.values() for row in rows.rows}
    if len(learned_from) < 2 or learned_from <= all_but_one and len(sets) > 2:
        return None
    pooled, compared = pooled_or_single(arms, sets, plan), row_comparisons(arms, baselines, sets)
    return SetMatrix(
        sets,
        {
            name: ArmMatrix(
                rows.runs(),
                rows.cells(sets),
                {one: of_set for one in sets if (of_set := bars(rows, sets, one)) is not None},
                pooled.get(name),
                compared.get(name),
            )
            for name, rows in arms.items()
        },
    )
