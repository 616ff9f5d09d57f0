"""The domains of an evaluation, in words and in the order in which they are told."""

from __future__ import annotations

from collections.abc import Sequence

from entreg.results.schema import FOREIGN, IN_DOMAIN, LEFT_OUT, Results, is_foreign

KINDS = {IN_DOMAIN: "in domain", LEFT_OUT: "left out", FOREIGN: "out of domain"}


def kind_in_words(domain: str) -> str:
    """Return what kind of domain it is: in domain, left out or out of domain."""
    return KINDS[domain.partition(".")[0]]


def domains(results: Results) -> dict[str, str]:
    """Return the domains that are shown, in words: in domain, the mean over several foreign sets, each foreign set."""
    trained, left_out, foreign = (
        [key for key in results.data if key.startswith(f"{kind}.")] for kind in (IN_DOMAIN, LEFT_OUT, FOREIGN)
    )
    planned = results.primary.planned
    words = {IN_DOMAIN: f"in domain, mean of {len(trained)} sets" if trained else "in domain"}
    if len(left_out) > 1:
        words[LEFT_OUT] = f"left out, mean of {len(left_out)} sets"
    if len(planned) > 1:  # the mean over a single set is that set
        words[FOREIGN] = f"out of domain, mean of {len(planned)} sets"
    of_sets = [*trained, *left_out, *foreign]
    return words | {key: f"{kind_in_words(key)} ({results.data[key].name})" for key in of_sets}


def learned_from(row: Sequence[str], sets: Sequence[str]) -> str:
    """Return what models learned from, of the sets of a matrix: NAME, all but NAME, all sets, or several names."""
    missing = [name for name in sets if name not in row]
    if len(row) > 1 and len(missing) < 2:
        return f"all but {missing[0]}" if missing else "all sets"
    return " + ".join(row)


def compared_rows(results: Results) -> list[str]:
    """Return in words the sets that the models learned from by which arms are compared: rows of the matrix of sets.

    There are none without a matrix.
    """
    if results.matrix is None:
        return []
    compared = {run for arm in results.arms.values() for run in arm.runs}
    rows = {
        learned_from(cell.trained_on, results.matrix.sets): None
        for arm in results.matrix.arms.values()
        for cell in arm.cells
        if compared & {*arm.runs[" + ".join(cell.trained_on)]}
    }
    return [*rows]


def main_first(results: Results) -> list[str]:
    """Return the domains that are shown, that of the primary outcome (or else out of domain) first."""
    primary = results.primary
    shown = domains(results)
    wanted = primary.domain if primary.arm else LEFT_OUT if LEFT_OUT in shown else FOREIGN
    order = sorted(shown, key=lambda key: not is_foreign(key))
    if wanted == FOREIGN and wanted not in order and primary.planned:
        wanted = f"{FOREIGN}.{primary.planned[0]}"
    main = wanted if wanted in order else order[0]
    return [main, *(key for key in order if key != main)]
