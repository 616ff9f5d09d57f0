"""Scores of models that learned from different sets, planted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from entreg.evaluation.matrix_rows import Judged

SETS = ("a", "b", "c")
ROWS = (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), SETS)


def rest_of(name: str) -> tuple[str, ...]:
    """The other sets."""
    return tuple(other for other in SETS if other != name)


def judged(
    means: Callable[[tuple[str, ...], str], float],
    gain: float = 0.5,
    seeds: Sequence[int] = (0, 1, 2),
    rows: Iterable[tuple[str, ...]] = ROWS,
    images: int = 12,
    scatter: float = 0.0,
    training_images: Callable[[tuple[str, ...]], int] = lambda row: 30,
) -> list[Judged]:
    """Runs of each row and seed: those that learned from `row` score means(row, name) on average on the set `name`.

    The images' effects are the same for all models and have the mean 0, and the model's own scatter is drawn. Judged in
    domain are the first four images. gain: what the adaptation brings on each image
    """
    rng = np.random.default_rng(1)
    found = []
    for name in SETS:
        effects = np.linspace(-1, 1, images)
        names = [f"{name}{i}" for i in range(images)]
        for row in rows:
            for seed in seeds:
                values = (
                    means(row, name) + effects + scatter * rng.standard_normal() + scatter * rng.standard_normal(images)
                )
                shown = slice(0, 4) if name in row else slice(None)
                found.append(
                    Judged(
                        f"{'_'.join(row)}/{seed}",
                        row,
                        (seed, seed),
                        f"{'in_domain' if name in row else 'left_out'}.{name}",
                        names[shown],
                        values[shown],
                        None if name in row else values + gain,
                        np.full(images, 0.25)[shown],
                        training_images(row),
                    )
                )
    return found
