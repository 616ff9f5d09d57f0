"""The comparisons of all arms with their baselines, corrected for the number of arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from entreg.evaluation import differences
from entreg.evaluation.arms import Arm, baseline_of
from entreg.evaluation.differences import Pairing, Values, metrics_in, pairing_of
from entreg.evaluation.evidence import Evidence
from entreg.evaluation.ladder import PARTS, REST, parts
from entreg.evaluation.metrics import METRICS, Metric
from entreg.results.schema import BETTER, FLATTER, LEFT_OUT, NOT_SHOWN, SHARPER, Compared, Comparison, Difference, Plan

AS_TRAINED = ("auc", "sauc", "nss")  # metrics that sharpness alone hardly changes

Pairs = Mapping[str, tuple[Arm, Arm, Pairing]]  # by the arm's name: the arm, its baseline, and how they are compared


def compare(arms: Sequence[Arm], evidence: Mapping[str, Evidence], plan: Plan) -> dict[str, Comparison]:
    """Compare every other arm with its baseline, by the arm's name; p values are Holm-corrected over all of them."""
    pairs = {}
    for arm in arms:
        baseline = baseline_of(arm, list(arms))
        if baseline is not None and baseline is not arm:
            pairs[arm.name] = (arm, baseline, pairing_of(arm, baseline))
    domains = _domains_of(evidence, plan)
    all_differences = {domain: _differences(names, pairs, evidence, domain, plan) for domain, names in domains.items()}
    all_ladders = {domain: _ladders(names, pairs, evidence) for domain, names in domains.items()}
    new_set = _on_a_new_set(domains.get(LEFT_OUT, []), pairs, evidence)
    comparisons = {}
    for name, (_, baseline, pairing) in pairs.items():
        compared = {}
        for domain in domains:
            cells, ladder = all_differences[domain][name], all_ladders[domain].get(name)
            ig = cells[METRICS[0].difference_key]
            lower = _lower(cells) if ig.mean > 0 else []
            unseen = new_set[name] if domain == LEFT_OUT else (None, None)
            compared[domain] = Compared(cells, ladder, sharpness(ladder), lower, reading(ig, ladder), *unseen)
        entropy = _entropy(evidence[name], evidence[baseline.name], pairing)
        comparisons[name] = Comparison(baseline.name, pairing.kind, entropy, compared)
    return comparisons


def reading(ig: Difference, ladder: Mapping[str, Difference] | None) -> str | None:
    """Return NOT_SHOWN where an arm is better as trained, but the rest of the difference is not clearly above 0.

    It is not shown then that the model knows more about images.
    """
    if ig.verdict != BETTER or ladder is None:
        return None
    interval = ladder[REST].ci95
    return NOT_SHOWN if interval is None or interval[0] <= 0 else None


def sharpness(ladder: Mapping[str, Difference] | None) -> str | None:
    """Return FLATTER where scale and spread together raise IG, as flatter predictions do, else SHARPER."""
    if ladder is None:
        return None
    return FLATTER if ladder["scale_and_spread"].mean >= 0 else SHARPER


def _domains_of(evidence: Mapping[str, Evidence], plan: Plan) -> dict[str, list[str]]:
    """Return each domain with the names of the tables of which it is the mean."""
    first = next(iter(evidence.values()))
    return {name: [name] for name in first.rows} | first.means(plan)


def _differences(
    names: list[str], pairs: Pairs, evidence: Mapping[str, Evidence], domain: str, plan: Plan
) -> dict[str, dict[str, Difference]]:
    """Return the differences by arm and difference key, corrected over the arms."""
    by_arm: dict[str, dict[str, Difference]] = {arm: {} for arm in pairs}
    tables = [evidence[arm.name].rows[name] for arm, _, _ in pairs.values() for name in names]
    for metric in metrics_in(tables) if pairs else []:
        if not metric.compared:
            continue
        cells = {
            arm: differences.difference(
                evidence[arm].values(names, metric.key),
                evidence[baseline.name].values(names, metric.key),
                pairing,
                metric.better,
            )
            for arm, (_, baseline, pairing) in pairs.items()
        }
        primary = plan.arm if domain in plan.tested and metric.key == plan.metric else None
        for arm, cell in _corrected(cells, pairs, metric, primary).items():
            by_arm[arm][metric.difference_key] = cell
    return by_arm


def _on_a_new_set(
    names: list[str], pairs: Pairs, evidence: Mapping[str, Evidence]
) -> dict[str, tuple[Difference | None, Difference | None]]:
    """Return by arm the IG difference, and what is left of it after the ladder, on a set not yet seen.

    Both are exploratory and corrected over the arms; there is none where fewer than two sets were left out, or no
    ladder.
    """
    if len(names) < 2:
        return dict.fromkeys(pairs, (None, None))
    as_trained, rest = {}, {}
    for arm, (_, baseline, pairing) in pairs.items():
        sides = evidence[arm], evidence[baseline.name]
        ours, base = (side.values(names, METRICS[0].key).on_a_new_set() for side in sides)
        as_trained[arm] = differences.difference(ours, base, pairing, "higher")
        if all(name in side.adapted for name in names for side in sides):
            ours, base = (Values([parts(side.adapted_ig_bits(name))[REST] for name in names]) for side in sides)
            rest[arm] = differences.difference(ours.on_a_new_set(), base.on_a_new_set(), pairing, "higher")
    as_trained, rest = (_corrected(cells, pairs, METRICS[0], None) for cells in (as_trained, rest))
    return {arm: (as_trained[arm], rest.get(arm)) for arm in pairs}


def _ladders(names: list[str], pairs: Pairs, evidence: Mapping[str, Evidence]) -> dict[str, dict[str, Difference]]:
    """Return the parts of the IG difference by arm and part, corrected over the arms; only for arms with a ladder."""
    raw = {
        arm: ladder
        for arm, (_, baseline, pairing) in pairs.items()
        if (ladder := _parts(evidence[arm], evidence[baseline.name], names, pairing)) is not None
    }
    ladders: dict[str, dict[str, Difference]] = {arm: {} for arm in raw}
    for part in next(iter(raw.values()), {}):
        cells = {arm: ladder[part] for arm, ladder in raw.items()}
        for arm, cell in _corrected(cells, pairs, METRICS[0], None).items():
            ladders[arm][part] = cell
    return ladders


def _corrected(
    cells: Mapping[str, Difference], pairs: Pairs, metric: Metric, primary: str | None
) -> dict[str, Difference]:
    """Return the differences of several arms, corrected for their number, see `differences.corrected`."""
    # a published model is a separate question: it does not add to the number of the study's arms
    families = (
        {arm: cell for arm, cell in cells.items() if pairs[arm][0].is_fixed is fixed} for fixed in (False, True)
    )
    return {arm: cell for family in families for arm, cell in differences.corrected(family, metric, primary).items()}


def _parts(ours: Evidence, base: Evidence, names: list[str], pairing: Pairing) -> dict[str, Difference] | None:
    """Return the parts of the IG difference; None where a set has no ladder."""
    if any(name not in ours.adapted or name not in base.adapted for name in names):
        return None
    shares = [[parts(evidence.adapted_ig_bits(name)) for name in names] for evidence in (ours, base)]
    cells = {}
    for part in (*PARTS, "scale_and_spread"):
        summands = ("scale", "spread") if part == "scale_and_spread" else (part,)
        a, b = (
            Values([sum((of_set[summand] for summand in summands), np.zeros(1)) for of_set in of_arm])
            for of_arm in shares
        )
        cells[part] = differences.difference(a, b, pairing, "higher")
    return cells


def _lower(cells: Mapping[str, Difference]) -> list[str]:
    """Return the keys of the metrics as trained whose mean is lower than the baseline's."""
    keys = {metric.key: metric.difference_key for metric in METRICS}
    return [key for key in AS_TRAINED if keys[key] in cells and cells[keys[key]].mean < 0]


def _entropy(ours: Evidence, base: Evidence, pairing: Pairing) -> dict[str, Any]:
    """Return the increase of the bias map's entropy, with and without the centre bias as input."""
    increases: dict[str, Any] = {}
    for kind in ("", "_without_center_bias"):
        key = f"bias_entropy{kind}"
        a, b = (evidence.by_training([row[f"{key}_nats"] for row in evidence.entropies()]) for evidence in (ours, base))
        increase = differences.entropy_increase(a, b, pairing)
        increases |= {
            f"{key}_increase_nats": increase.increase_nats,
            f"{key}_increase_percent": increase.increase_percent,
            f"{key}_increase_ci95_nats": increase.ci95,
        }
    return increases
