"""Five levels of information gain on a set that was left out, all on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from entreg.evaluation import differences
from entreg.evaluation.closed_gap import share_closed
from entreg.evaluation.differences import Values
from entreg.evaluation.matrix_rows import ArmRows, Judged, RowScores, adapted, as_trained, mean_of, shared
from entreg.results.schema import FOLDS, LEFT_OUT, Bar, SetBars

CEILING, POOLED, BEST_SINGLE, MEAN_SINGLE, CENTRE_BIAS = (
    "ceiling",
    "pooled",
    "best_single",
    "mean_single",
    "centre_bias",
)


def bars(rows: ArmRows, sets: Sequence[str], name: str) -> SetBars | None:
    """Return the levels on a set of an arm's models; None where no image judges all of them.

    There are none either without a level of models that left the set out, for which models of all other sets are
    needed, or of each of them alone: where the ceiling and the centre bias stand alone, nothing was left out.

    The images are those that judge all of these models: all of the set where its ceiling is a cross-validation or there
    is none, else its validation images.
    """
    others, domain, own = (
        [other for other in sets if other != name],
        f"{LEFT_OUT}.{name}",
        rows.domain_of((name,), name),
    )
    before = {other: rows.table((other,), domain, as_trained) for other in others}
    after = {other: rows.table((other,), domain, adapted) for other in others}
    ceiling, pooled = rows.table((name,), own, as_trained), rows.table(others, domain, as_trained)
    pooled_adapted = rows.table(others, domain, adapted)
    bias = _center_bias(rows, domain)
    known = [table for table in (ceiling, pooled, *before.values()) if table is not None]
    if bias is None or not known:
        return None
    images = shared([bias.images, *(table.images for table in known)])
    if not images:
        return None
    found: dict[str, Bar] = {}
    if ceiling is not None:
        how = "each image by the fold that left it out" if own.startswith(FOLDS) else "its validation images"
        found[CEILING] = Bar(f"{name} itself, {how}", ceiling.estimate(images), None)
    if pooled is not None:
        found[POOLED] = _bar(" + ".join(others), pooled, pooled_adapted, images)
    if (mean := mean_of([*before.values()])) is not None and len(others) > 1:
        best = _best(before, images)
        best_adapted = best if any(table is None for table in after.values()) else _best(after, images)
        words = best if best == best_adapted else f"{best}; adapted: {best_adapted}"
        found[BEST_SINGLE] = _bar(words, before[best], after[best_adapted], images)
        found[MEAN_SINGLE] = _bar(", ".join(others), mean, mean_of([*after.values()]), images)
    if found.keys() <= {CEILING}:
        return None
    alone = differences.estimate(Values([bias.at(images)]), fixed=True)
    found[CENTRE_BIAS] = Bar(f"of {name}, without a model", alone, None)
    closed = None
    if ceiling is not None and pooled is not None and pooled_adapted is not None:
        closed = share_closed(pooled, pooled_adapted, ceiling, images)
    return SetBars(len(images), found, closed)


def _bar(words: str, before: RowScores | None, after: RowScores | None, images: Sequence[str]) -> Bar:
    assert before is not None
    return Bar(words, before.estimate(images), None if after is None else after.estimate(images))


def _best(tables: Mapping[str, RowScores | None], images: Sequence[str]) -> str:
    """Return the set whose models have the greatest mean."""
    means = {name: float(table.at(images).mean()) for name, table in tables.items() if table is not None}
    return max(means, key=lambda name: means[name])


def _center_bias(rows: ArmRows, domain: str) -> RowScores | None:
    """Return the centre bias's values as a single training's, since they do not depend on a model."""

    def value(judged: Judged) -> np.ndarray | None:
        return judged.center_bias

    tables = (rows.table(row, domain, value) for row in rows.rows)
    found = next((table for table in tables if table is not None), None)
    return None if found is None else RowScores(found.replicates[:1], found.images, found.values[:1])
