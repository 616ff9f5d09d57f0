"""What pooling sets brings on a set that none of them is, against learning from one of them: a planned comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from entreg.evaluation import differences
from entreg.evaluation.differences import Values, paired
from entreg.evaluation.matrix_rows import ArmRows, RowScores, Value, adapted, as_trained, mean_of, shared
from entreg.evaluation.metrics import METRICS
from entreg.results.schema import LEFT_OUT, MEAN, NEW_SET, SINGLE_SETS, Difference, Plan, PooledOrSingle


def pooled_or_single(arms: Mapping[str, ArmRows], sets: Sequence[str], plan: Plan) -> dict[str, PooledOrSingle]:
    """Return the comparison by arm; p values are Holm-corrected over the arms, except that of the primary outcome.

    An arm has none where runs for it are missing. With two sets, the others are one, and there is nothing to compare.
    """
    if len(sets) < 3:
        return {}
    before = {arm: sides for arm, rows in arms.items() if (sides := Sides.of(rows, sets, as_trained)) is not None}
    after = {arm: sides for arm in before if (sides := Sides.of(arms[arm], sets, adapted)) is not None}
    images = {arm: _images(arms[arm], sets) for arm in before}
    # with other numbers of images, the sets would not be what differs alone
    primary = plan.arm if plan.against == SINGLE_SETS and plan.arm in images and _equal(*images[plan.arm]) else None
    differ, differ_adapted = _compared(before, sets, None), _compared(after, sets, primary)
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


@dataclass(frozen=True)
class Sides:
    """By set, the values of the models that learned from all others, and the mean of those that learned from one."""

    pooled: Mapping[str, RowScores]
    single: Mapping[str, RowScores]

    @classmethod
    def of(cls, rows: ArmRows, sets: Sequence[str], value: Value) -> Sides | None:
        """Return the values of an arm; None where a set lacks runs, or no training has runs for all sets."""
        pooled, single = (
            {
                name: table
                for name in sets
                if (table := mean_of([rows.table(row, f"{LEFT_OUT}.{name}", value) for row in of_side[name]]))
                is not None
            }
            for of_side in _learned(sets)
        )
        if not len(pooled) == len(single) == len(sets):
            return None
        sides = cls(pooled, single)
        return sides if all(sides.trainings) else None

    @property
    def trainings(self) -> tuple[list[differences.Replicate], list[differences.Replicate]]:
        """The trainings of the pooled and of the single models that have runs for all sets."""
        pooled, single = (shared([table.replicates for table in side.values()]) for side in (self.pooled, self.single))
        return pooled, single

    def values(self, names: Sequence[str]) -> tuple[Values, Values]:
        """Return the values of both on some sets, on the images that judge both."""
        of_pooled, of_single = self.trainings
        images = {name: shared([self.pooled[name].images, self.single[name].images]) for name in names}
        return (
            Values([self.pooled[name].at(images[name], of_pooled) for name in names]),
            Values([self.single[name].at(images[name], of_single) for name in names]),
        )

    def difference(self, names: Sequence[str], on_a_new_set: bool = False) -> Difference:
        """Return pooled minus single on the mean over some sets, or on a set not yet seen."""
        pooled, single = self.values(names)
        if on_a_new_set:
            pooled, single = pooled.on_a_new_set(), single.on_a_new_set()
        return differences.difference(pooled, single, paired(*self.trainings), "higher")


def _equal(pooled: list[int], single: list[int]) -> bool:
    return pooled == single and len(pooled) == 1


def _learned(sets: Sequence[str]) -> tuple[dict[str, list[list[str]]], dict[str, list[list[str]]]]:
    """Return, for the pooled and for the single models, by the judged set the rows of sets that they learned from."""
    others = {name: [other for other in sets if other != name] for name in sets}
    return {name: [row] for name, row in others.items()}, {name: [[one] for one in row] for name, row in others.items()}


def _compared(sides: Mapping[str, Sides], sets: Sequence[str], primary: str | None) -> dict[str, dict[str, Difference]]:
    """Return the differences by arm and by set, with their mean and that on a new set, corrected over the arms."""
    found: dict[str, dict[str, Difference]] = {arm: {} for arm in sides}
    for key in (MEAN, NEW_SET, *sets):
        names = sets if key in (MEAN, NEW_SET) else [key]
        cells = {arm: of_arm.difference(names, key == NEW_SET) for arm, of_arm in sides.items()}
        for arm, cell in differences.corrected(cells, METRICS[0], primary if key == MEAN else None).items():
            found[arm][key] = cell
    return found


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
