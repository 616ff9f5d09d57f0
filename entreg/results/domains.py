"""The domains of an evaluation, in words and in the order in which they are told."""

from __future__ import annotations

from entreg.results.schema import FOREIGN, IN_DOMAIN, Results, is_foreign


def domains(results: Results) -> dict[str, str]:
    """Return the domains that are shown, in words: in domain, the mean over several foreign sets, each foreign set."""
    foreign = [key for key in results.data if is_foreign(key)]
    trained, planned = [key for key in results.data if key not in (IN_DOMAIN, *foreign)], results.primary.planned
    words = {IN_DOMAIN: f"in domain, mean of {len(trained)} sets" if trained else "in domain"}
    if len(planned) > 1:  # the mean over a single set is that set
        words[FOREIGN] = f"out of domain, mean of {len(planned)} sets"
    words |= {key: f"in domain ({results.data[key].name})" for key in trained}
    return words | {key: f"out of domain ({results.data[key].name})" for key in foreign}


def main_first(results: Results) -> list[str]:
    """Return the domains that are shown, that of the primary outcome (or else out of domain) first."""
    primary = results.primary
    wanted = primary.domain if primary.arm else FOREIGN
    order = sorted(domains(results), key=lambda key: not is_foreign(key))
    if wanted == FOREIGN and wanted not in order and primary.planned:
        wanted = f"{FOREIGN}.{primary.planned[0]}"
    main = wanted if wanted in order else order[0]
    return [main, *(key for key in order if key != main)]
