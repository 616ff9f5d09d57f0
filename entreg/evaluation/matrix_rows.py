"""What an arm's models score on each set, by the sets that they learned from: the rows of the matrix of sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from entreg.evaluation import differences
from entreg.evaluation.differences import Replicate, Values
from entreg.results.schema import FOLDS, IN_DOMAIN, LEFT_OUT, Estimate, MatrixCell

Value = Callable[["Judged"], "np.ndarray | None"]  # one of the values below, of a model for each image


@dataclass(frozen=True)
class Judged:
    """What a model scores on the images of a domain: the information gain of each image, (n_images,) bits.

    run: its folder; trained_on: the sets that it learned from; replicate: its seed and order seed
    images: the images' names
    as_trained, adapted: of the model, and of the model adapted by all three numbers; None where it was not adapted
    center_bias: of the set's own centre bias, without a model
    """

    run: str
    trained_on: tuple[str, ...]
    replicate: Replicate
    domain: str
    images: Sequence[str]
    as_trained: np.ndarray
    adapted: np.ndarray | None
    center_bias: np.ndarray
    training_images: int


def as_trained(judged: Judged) -> np.ndarray | None:
    """Return the information gain as trained."""
    return judged.as_trained


def adapted(judged: Judged) -> np.ndarray | None:
    """Return the information gain after the adaptation."""
    return judged.adapted


@dataclass(frozen=True)
class RowScores:
    """Some values on one set of models that learned from the same sets: (n_trainings, n_images)."""

    replicates: list[Replicate]
    images: list[str]
    values: np.ndarray

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.images)}

    def at(self, images: Sequence[str], replicates: Sequence[Replicate] | None = None) -> np.ndarray:
        """Return the values of some images, and of some trainings (else of all), in their order."""
        rows = [self.replicates.index(one) for one in replicates or self.replicates]
        return self.values[np.ix_(rows, [self._places[name] for name in images])]

    def estimate(self, images: Sequence[str] | None = None) -> Estimate:
        """Return the mean over some images, else over all."""
        return differences.estimate(Values([self.at(images or self.images)]))


def mean_of(tables: Sequence[RowScores | None]) -> RowScores | None:
    """Return the mean over tables, on the images and for the trainings that all have; None where these are none."""
    known = [table for table in tables if table is not None]
    if not known or len(known) < len(tables):
        return None
    replicates, images = shared([table.replicates for table in known]), shared([table.images for table in known])
    if not replicates:
        return None
    return RowScores(replicates, images, np.mean([table.at(images, replicates) for table in known], axis=0))


def shared(lists: Sequence[Sequence[Any]]) -> list[Any]:
    """Return what all lists have, in the order of the first."""
    common = set(lists[0]).intersection(*lists[1:])
    return [one for one in lists[0] if one in common]


class ArmRows:
    """The runs of an arm by the sets that they learned from. rows: these sets, each set alone first, then by number."""

    def __init__(self, judged: Sequence[Judged]) -> None:
        self._judged: dict[tuple[tuple[str, ...], str], list[Judged]] = {}
        for one in judged:
            self._judged.setdefault((one.trained_on, one.domain), []).append(one)
        self.rows = sorted({row for row, _ in self._judged}, key=lambda row: (len(row), row))

    def runs(self) -> dict[str, list[str]]:
        """Return the folders of the runs of each row, by the names of its sets."""
        found: dict[str, list[str]] = {" + ".join(row): [] for row in self.rows}
        for (row, _), judged in self._judged.items():
            found[" + ".join(row)] += [one.run for one in judged]
        return {row: [*dict.fromkeys(runs)] for row, runs in found.items()}

    @property
    def sets(self) -> set[str]:
        """The sets that were learned from or left out."""
        left_out = {domain.partition(".")[2] for _, domain in self._judged if domain.startswith(f"{LEFT_OUT}.")}
        return left_out | {name for row in self.rows for name in row}

    def table(self, row: Sequence[str], domain: str, value: Value) -> RowScores | None:
        """Return some values of a row in a domain; None where there are none, or not of all of its runs.

        The folds of a cross-validation are one training: each image is judged by the run that left it out.
        """
        found: dict[Replicate, dict[str, float]] = {}
        for one in self._judged.get((tuple(row), domain), []):
            values = value(one)
            if values is None:
                return None
            found.setdefault(one.replicate, {}).update(zip(one.images, values.tolist(), strict=True))
        if not found:
            return None
        replicates, images = sorted(found), shared([[*images] for images in found.values()])
        return RowScores(replicates, images, np.array([[found[one][image] for image in images] for one in replicates]))

    def training_images(self, row: Sequence[str], domain: str) -> list[int]:
        """Return how many images the models of a row learned from; where they differ, the smallest and the greatest."""
        counts = [one.training_images for one in self._judged.get((tuple(row), domain), [])]
        return sorted({min(counts), max(counts)})

    def domain_of(self, row: Sequence[str], name: str) -> str:
        """Return the domain in which a row is judged on a set: of its cross-validation, where there is one."""
        folds = f"{FOLDS}.{name}"
        if tuple(row) == (name,) and ((name,), folds) in self._judged:
            return folds
        return f"{IN_DOMAIN if name in row else LEFT_OUT}.{name}"

    def cells(self, sets: Sequence[str]) -> list[MatrixCell]:
        """Return the cells of the matrix, row by row."""
        found = []
        for row, name in ((row, name) for row in self.rows for name in sets):
            domain = self.domain_of(row, name)
            if (table := self.table(row, domain, as_trained)) is None:
                continue
            after = self.table(row, domain, adapted)
            found.append(
                MatrixCell(
                    trained_on=[*row],
                    judged_on=name,
                    in_domain=name in row,
                    in_folds=domain.startswith(FOLDS),
                    training_images=self.training_images(row, domain),
                    as_trained=table.estimate(),
                    adapted=None if after is None else after.estimate(),
                )
            )
        return found
