"""Two groups of models that are compared set by set, and on the mean of these sets."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from entreg.evaluation import differences
from entreg.evaluation.differences import Replicate, Values, paired
from entreg.evaluation.matrix_rows import RowScores, shared
from entreg.evaluation.metrics import METRICS
from entreg.results.schema import MEAN, NEW_SET, Difference

Pair = TypeVar("Pair", bound=Hashable)


@dataclass(frozen=True)
class Sides:
    """The information gain of two groups of models by the set that judges them: `ours` is compared with `base`."""

    ours: Mapping[str, RowScores]
    base: Mapping[str, RowScores]

    @classmethod
    def of(cls, ours: Mapping[str, RowScores | None], base: Mapping[str, RowScores | None]) -> Sides | None:
        """Return the sides; None where a set lacks values, or no training of a side has values on all sets."""
        known = [{name: table for name, table in side.items() if table is not None} for side in (ours, base)]
        if not ours or not len(known[0]) == len(known[1]) == len(ours):
            return None
        sides = cls(*known)
        return sides if all(sides.trainings) else None

    @property
    def trainings(self) -> tuple[list[Replicate], list[Replicate]]:
        """The trainings of each side that have values on all sets."""
        ours, base = (shared([table.replicates for table in side.values()]) for side in (self.ours, self.base))
        return ours, base

    def difference(self, key: str) -> Difference:
        """Return ours minus base (bit/fixation) on a set, on the mean over the sets (MEAN), or on a NEW_SET.

        Trainings are paired by their seeds, see `differences.paired`; the images are those that judge both sides.
        """
        names = [*self.ours] if key in (MEAN, NEW_SET) else [key]
        images = {name: shared([self.ours[name].images, self.base[name].images]) for name in names}
        ours, base = (
            Values([side[name].at(images[name], trainings) for name in names])
            for side, trainings in zip((self.ours, self.base), self.trainings, strict=True)
        )
        if key == NEW_SET:
            ours, base = ours.on_a_new_set(), base.on_a_new_set()
        return differences.difference(ours, base, paired(*self.trainings), "higher")


def compared(
    pairs: Mapping[Pair, Sides], keys: Sequence[str], primary: Pair | None = None
) -> dict[Pair, dict[str, Difference]]:
    """Return the differences of some pairs of sides by key; p values are Holm-corrected over the pairs, for each key.

    keys: see `Sides.difference`; a pair that a set does not judge has none there
    primary: the pair whose mean was named beforehand, and is tested alone
    """
    found: dict[Pair, dict[str, Difference]] = {pair: {} for pair in pairs}
    for key in keys:
        cells = {
            pair: sides.difference(key) for pair, sides in pairs.items() if key in (MEAN, NEW_SET) or key in sides.ours
        }
        for pair, cell in differences.corrected(cells, METRICS[0], primary if key == MEAN else None).items():
            found[pair][key] = cell
    return found
