"""The domains of an evaluation, in words and in the order in which they are told."""

from __future__ import annotations

from entreg.results.schema import FOREIGN, IN_DOMAIN, LEFT_OUT, Results, is_foreign


def domains(results: Results) -> dict[str, str]:
    """Return the domains that are shown, in words: in domain, the mean over several foreign sets, each foreign set."""
    left_out = [key for key in results.data if key.startswith(f"{LEFT_OUT}.")]
    foreign = [key for key in results.data if key.startswith(f"{FOREIGN}.")]
    trained, planned = (
        [key for key in results.data if key not in (IN_DOMAIN, *left_out, *foreign)],
        results.primary.planned,
    )
    words = {IN_DOMAIN: f"in domain, mean of {len(trained)} sets" if trained else "in domain"}
    if len(left_out) > 1:
        words[LEFT_OUT] = f"left out, mean of {len(left_out)} sets"
    if len(planned) > 1:  # the mean over a single set is that set
        words[FOREIGN] = f"out of domain, mean of {len(planned)} sets"
    words |= {key: f"in domain ({results.data[key].name})" for key in trained}
    words |= {key: f"left out ({results.data[key].name})" for key in left_out}
    return words | {key: f"out of domain ({results.data[key].name})" for key in foreign}


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
