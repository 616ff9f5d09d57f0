"""What pooling sets brings on a set that none of them is, against learning from one of them: a planned comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from entreg.evaluation.matrix_rows import ArmRows, Value, adapted, as_trained, mean_of
from entreg.evaluation.sides import Sides, compared
from entreg.results.schema import LEFT_OUT, MEAN, NEW_SET, SINGLE_SETS, Plan, PooledOrSingle


def pooled_or_single(arms: Mapping[str, ArmRows], sets: Sequence[str], plan: Plan) -> dict[str, PooledOrSingle]:
    """Return the comparison by arm; p values are Holm-corrected over the arms, except that of the primary outcome.

    An arm has none where runs for it are missing. With two sets, the others are one, and there is nothing to compare.
    """
    if len(sets) < 3:
        return {}
    before = {arm: sides for arm, rows in arms.items() if (sides := _sides(rows, sets, as_trained)) is not None}
    after = {arm: sides for arm in before if (sides := _sides(arms[arm], sets, adapted)) is not None}
    images = {arm: _images(arms[arm], sets) for arm in before}
    # with other numbers of images, the sets would not be what differs alone
    primary = plan.arm if plan.against == SINGLE_SETS and plan.arm in images and _equal(*images[plan.arm]) else None
    keys = (MEAN, NEW_SET, *sets)
    differ, differ_adapted = compared(before, keys), compared(after, keys, primary)
    return {arm: PooledOrSingle(differ[arm], differ_adapted.get(arm), *images[arm]) for arm in before}


def why_exploratory(found: PooledOrSingle | None) -> str | None:
    """Return why a planned comparison of pooled with single models is none; None where it is one."""
    if found is None:
        return "models that learned from one set, or from all but one, are missing"
    if found.adapted is None:
        return "a set has too few images to adapt a model to it"
    if not _equal(found.pooled_images, found.single_images):
        pooled, single = (" to ".join(map(str, side)) for side in (found.pooled_images, found.single_images))
        return f"the pooled models learned from {pooled} images and the single ones from {single} (sets_images=N)"
    return None


def _sides(rows: ArmRows, sets: Sequence[str], value: Value) -> Sides | None:
    """Return by set the models that learned from all others, and the mean of those that learned from one other."""
    pooled, single = (
        {name: mean_of([rows.table(row, f"{LEFT_OUT}.{name}", value) for row in of_side[name]]) for name in sets}
        for of_side in _learned(sets)
    )
    return Sides.of(pooled, single)


def _equal(pooled: list[int], single: list[int]) -> bool:
    return pooled == single and len(pooled) == 1


def _learned(sets: Sequence[str]) -> tuple[dict[str, list[list[str]]], dict[str, list[list[str]]]]:
    """Return, for the pooled and for the single models, by the judged set the rows of sets that they learned from."""
    others = {name: [other for other in sets if other != name] for name in sets}
    return {name: [row] for name, row in others.items()}, {name: [[one] for one in row] for name, row in others.items()}


def _images(rows: ArmRows, sets: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return how many images the pooled and the single models learned from, the smallest and the greatest number."""
    found: list[list[int]] = []
    for side in _learned(sets):
        counts = [
            count
            for name, learned in side.items()
            for row in learned
            for count in rows.training_images(row, f"{LEFT_OUT}.{name}")
        ]
        found.append(sorted({min(counts), max(counts)}))
    pooled, single = found
    return pooled, single
