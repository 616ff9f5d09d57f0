"""The arms compared row by row of the matrix of sets: with their baselines that learned from the same sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from entreg.evaluation.matrix_rows import ArmRows, Value, adapted, as_trained
from entreg.evaluation.sides import Sides, compared
from entreg.results.schema import LEFT_OUT, MEAN, RowComparison

Row = tuple[str, ...]


def row_comparisons(
    arms: Mapping[str, ArmRows], baselines: Mapping[str, str], sets: Sequence[str]
) -> dict[str, list[RowComparison]]:
    """Return the comparisons of each arm that has any; p values are Holm-corrected over all rows and arms.

    They are about the sets that a row did not learn from; a row that the baseline has not, or that learned from all
    sets, has none.

    baselines: by arm, the name of its baseline
    """
    keys = (MEAN, *sets)
    before, after = (compared(_sides(arms, baselines, sets, value), keys) for value in (as_trained, adapted))
    found: dict[str, list[RowComparison]] = {}
    for (arm, row), cells in before.items():
        one = RowComparison([*row], baselines[arm], cells, after.get((arm, row)))
        found.setdefault(arm, []).append(one)
    return found


def _sides(
    arms: Mapping[str, ArmRows], baselines: Mapping[str, str], sets: Sequence[str], value: Value
) -> dict[tuple[str, Row], Sides]:
    """Return by arm and row the arm's models and the baseline's."""
    pairs = {}
    for arm, baseline in baselines.items():
        for row in arms[arm].rows:
            domains = {name: f"{LEFT_OUT}.{name}" for name in sets if name not in row}
            ours, base = (
                {name: arms[one].table(row, domain, value) for name, domain in domains.items()}
                for one in (arm, baseline)
            )
            if (sides := Sides.of(ours, base)) is not None:
                pairs[arm, row] = sides
    return pairs
