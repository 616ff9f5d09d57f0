"""Print the answer and the arms for the terminal, and return their rows for CSV files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from entreg.columns import aligned
from entreg.results.answer import pooled_or_single
from entreg.results.domains import domains, main_first
from entreg.results.schema import (
    FOREIGN,
    IG,
    IG_DIFFERENCE,
    IN_DOMAIN,
    LEFT_OUT,
    ONE_TRAINING,
    SINGLE_SETS,
    Compared,
    Difference,
    Estimate,
    MetricDescription,
    Results,
)

IG_WORDS = "IG"
BACKBONE = "model.backbone.name", "model.backbone.weights"
STUDENT = {2: 12.7, 3: 4.3, 4: 3.2}  # by the number of sets, the 97.5th percentile of t with one degree of freedom less
LADDER_WORDS = {
    "scale": "scale of the predictions",
    "spread": "spread of the predictions",
    "centre_bias": "centre bias",
    "rest": "what is left",
}


def terminal(results: Results) -> str:
    """Return a row for each arm and domain, followed by the answer in one sentence, then in a few more."""
    short = [] if results.answer is None else [results.answer.sentence, *results.answer.limits, ""]
    return "\n".join(["", *_arms(results), "", *short, *answer(results)])


def answer(results: Results) -> list[str]:
    """Return the sentences of the main comparison, and a summary of all others."""
    arm = results.main_arm
    if arm is None and results.matrix is not None:
        return []
    if arm is None:
        return ["Nothing is compared: a comparison needs a baseline (loss=nll or lambda 0) and a regularised arm."]
    compared, primary, metrics = results.comparisons[arm], results.primary, results.metrics
    lines = [f"{arm} compared with {compared.baseline} ({compared.seeds}):"]
    if primary.arm is None:
        lines.append(f"All comparisons are exploratory: {primary.why}.")
    words = domains(results)
    for number, key in enumerate(main_first(results)):
        differences = compared.domains[key].differences
        is_primary = number == 0 and primary.arm == arm
        if is_primary and primary.metric != IG:
            metric = metrics[primary.metric]
            lines.append(f"{words[key]} (primary): {difference(differences[metric.difference_key], metric)}")
            is_primary = False
        mark = " (primary)" if is_primary else ""
        lines.append(f"{words[key]}{mark}: {difference(differences[IG_DIFFERENCE], metrics[IG])}")
        lines += [f"  {line}" for line in made_of(compared.domains[key], metrics)]
        lines += [f"  {line}" for line in on_a_new_set(compared.domains[key])]
    interval = compared.entropy["bias_entropy_increase_ci95_nats"]
    over_seeds = "" if interval is None else f"; 95 % interval over seeds {interval[0]:+.4f} to {interval[1]:+.4f} nats"
    lines.append(
        f"The bias map's entropy changes by {compared.entropy['bias_entropy_increase_nats']:+.4f} nats "
        f"({compared.entropy['bias_entropy_increase_percent']:+.2f} %{over_seeds})."
    )
    return lines + (_all_compared(results) if len(results.comparisons) > 1 else [])


def _all_compared(results: Results) -> list[str]:
    """Return a summary of all comparisons."""
    excepted = ["the primary outcome"] if results.primary.arm else []
    if any(not results.arms[arm].seeds for arm in results.comparisons):
        excepted.append("published models")
    lines = [
        "",
        f"All {len(results.comparisons)} compared arms by {IG_WORDS}; p is corrected for their number"
        + (f", except for {' and '.join(excepted)}" if excepted else "")
        + (
            ". The best lambda was not fixed beforehand, so any choice of it is exploratory:"
            if results.lambda_chosen_on_validation
            else ":"
        ),
    ]
    words = domains(results)
    for key, by_verdict in overview(results).items():
        verdicts = "; ".join(
            f"{verdict}: " + ", ".join(f"{arm} ({_ig(results, arm, key).mean:+.4f})" for arm in arms)
            for verdict, arms in by_verdict.items()
        )
        lines.append(f"{words[key]}: {verdicts}.")
    return lines


def main_ig_difference_bits(results: Results) -> float | None:
    """Return the main comparison's mean IG difference out of domain, else in domain; None where nothing is compared."""
    if results.primary.against == SINGLE_SETS and (found := pooled_or_single(results)) is not None:
        return found[1].mean
    if results.main_arm is None:
        return None
    compared = results.comparisons[results.main_arm].domains
    main = next(domain for domain in (LEFT_OUT, FOREIGN, IN_DOMAIN) if domain in compared)
    return compared[main].differences[IG_DIFFERENCE].mean


def ig_differences(results: Results) -> dict[str, dict[str, Difference]]:
    """Return the IG differences to the baseline: by domain in words, then by arm; a domain without any has no key."""
    cells = {
        words: {
            arm: comparison.domains[key].differences[IG_DIFFERENCE]
            for arm, comparison in results.comparisons.items()
            if key in comparison.domains
        }
        for key, words in domains(results).items()
    }
    return {words: arms for words, arms in cells.items() if arms}


def overview(results: Results) -> dict[str, dict[str, list[str]]]:
    """Return the compared arms by domain and verdict."""
    by_domain: dict[str, dict[str, list[str]]] = {}
    for key in main_first(results) if results.comparisons else []:
        for arm in results.comparisons:
            by_domain.setdefault(key, {}).setdefault(_ig(results, arm, key).verdict, []).append(arm)
    return by_domain


def difference(cell: Difference, metric: MetricDescription) -> str:
    """Return a metric's difference in words: mean, interval, p, verdict, and whether more seeds would help."""
    name = IG_WORDS if metric.key == IG else metric.title
    mean = f"{name} {cell.mean:+.4f}" + (f" {metric.unit}" if metric.unit == "bit/fixation" else "")
    if cell.seeds == ONE_TRAINING:
        over_images = cell.ci95_over_images
        interval = ""
        if over_images is not None:
            interval = f" ({over_images[0]:+.4f} to {over_images[1]:+.4f} with other images like these)"
        return (
            f"these trained models differ by {mean}{interval}; a single training of each arm cannot show a difference."
        )
    if cell.ci95 is None:
        return f"{mean} on a single image, so there is no interval."
    low, high = cell.ci95
    return (
        f"{mean} (95 % interval over images and seeds {low:+.4f} to {high:+.4f}, p = {cell.p_holm:.2g}, "
        f"{cell.n_images} images, {cell.n_seeds} seeds): {cell.verdict}"
        f"{' (exploratory)' if cell.exploratory else ''}. {halving(cell)}"
    )


def halving(cell: Difference) -> str:
    """Return how many seeds would halve the interval, in words."""
    if cell.seeds_to_halve is None:
        return "No number of seeds would halve the interval, since it comes from the images."
    return f"{cell.seeds_to_halve} seeds would halve the interval."


def on_a_new_set(compared: Compared) -> list[str]:
    """Return what holds on a set not yet seen, in words, and how wide that interval is and why."""
    if compared.new_set is None:
        return []
    lines = [f"on a set not yet seen: IG {_new(compared.new_set)}."]
    if compared.rest_on_a_new_set is not None:
        lines.append(f"of this, {_new(compared.rest_on_a_new_set)} is left after the adaptation to the set.")
    return [line for line in (*lines, width_on_a_new_set(compared)) if line]


def width_on_a_new_set(compared: Compared) -> str:
    """Return how wide the interval for a set not yet seen is, and why; nothing with five sets or more."""
    cell, fixed = compared.new_set, compared.differences[IG_DIFFERENCE]
    if cell is None or cell.ci95 is None or fixed.ci95 is None or cell.n_images not in STUDENT:
        return ""
    ratio = (cell.ci95[1] - cell.ci95[0]) / (fixed.ci95[1] - fixed.ci95[0])
    wider = f", and the interval is {ratio:.1f} times as wide as that for these sets" if ratio > 1 else ""
    return (
        f"How much sets differ is known from {cell.n_images} sets alone, so that Student's factor for it is "
        f"{STUDENT[cell.n_images]} instead of 2.0{wider}; five sets or more narrow it."
    )


def _new(cell: Difference) -> str:
    interval = "" if cell.ci95 is None else f" (95 % interval {cell.ci95[0]:+.4f} to {cell.ci95[1]:+.4f}"
    rest = (
        "" if cell.p_holm is None else f", p = {cell.p_holm:.2g}, {cell.n_images} sets): {cell.verdict} (exploratory)"
    )
    return f"{cell.mean:+.4f}{interval}{rest}"


def made_of(compared: Compared, metrics: Mapping[str, MetricDescription]) -> list[str]:
    """Return the parts of an IG difference in words, where there is a ladder, and what else it shows."""
    ladder, lines = compared.ladder, []
    if ladder:
        lines.append(
            f"of {compared.differences[IG_DIFFERENCE].mean:+.4f}, {_part(ladder['scale_and_spread'])} is due to "
            f"{compared.sharpness} predictions (scale {_part(ladder['scale'])}, spread {_part(ladder['spread'])}), "
            f"{_part(ladder['centre_bias'])} to the centre bias, and {_part(ladder['rest'])} is left."
        )
    if compared.reading:
        lines.append(f"{compared.reading}.")
    lower = [
        f"{metrics[key].title} ({compared.differences[metrics[key].difference_key].mean:+.4f})"
        for key in compared.lower_while_ig_higher
    ]
    if lower:
        lines.append(f"IG as trained is higher, but {' and '.join(lower)} {'is' if len(lower) == 1 else 'are'} lower.")
    return lines


def arms(results: Results) -> list[dict[str, Any]]:
    """Return the rows of arms.csv: one for each metric of an arm in a domain, and for each number without a domain.

    Each begins with the arm and with its settings, by full key: those by which the arms differ, and the backbone's.
    """
    rows = []
    keys = [*dict.fromkeys((*results.grouped_by, *BACKBONE))]
    for name, arm in results.arms.items():
        configured = arm.settings | (arm.configured or {})
        head = {"arm": name} | {key: configured.get(key) for key in keys}
        for domain, in_domain in arm.domains.items():
            rows += _rows(in_domain.metrics, **head, domain=domain)
        numbers = arm.entropies | {"center_bias_weight": arm.center_bias_weight, "sigma_px": arm.sigma_px}
        for of_set, own in (arm.per_set or {}).items():
            numbers |= {f"{key}.{of_set}": value for key, value in vars(own).items() if value is not None}
        rows += [head | {"domain": None, "metric": key, "mean": value} for key, value in numbers.items()]
    return rows


def settings(results: Results) -> dict[str, dict[str, Any]]:
    """Return the settings that affect results, those first by which arms differ: by full key, then by arm.

    An arm has no value of a setting that it does not use.
    """
    arms = {name: arm.configured for name, arm in results.arms.items() if arm.configured is not None}
    keys = dict.fromkeys((*results.grouped_by, *(key for configured in arms.values() for key in configured)))
    return {key: {name: configured[key] for name, configured in arms.items() if key in configured} for key in keys}


def comparisons(results: Results) -> list[dict[str, Any]]:
    """Return the rows of comparisons.csv: one for each metric, and part of the ladder, of an arm in a domain."""
    rows = []
    for name, comparison in results.comparisons.items():
        for domain, compared in comparison.domains.items():
            head = {"arm": name, "baseline": comparison.baseline, "domain": domain}
            rows += _rows(compared.differences, **head)
            rows += _rows({f"ladder.{part}": cell for part, cell in (compared.ladder or {}).items()}, **head)
    return rows


def _ig(results: Results, arm: str, domain: str) -> Difference:
    """Return the IG difference of an arm in a domain."""
    return results.comparisons[arm].domains[domain].differences[IG_DIFFERENCE]


def _part(cell: Estimate) -> str:
    """Return a part of a difference with its interval."""
    ends = cell.ci95 or cell.ci95_over_images
    return f"{cell.mean:+.4f}" + ("" if ends is None else f" ({ends[0]:+.4f} to {ends[1]:+.4f})")


def _rows(cells: Mapping[str, Estimate], **head: Any) -> list[dict[str, Any]]:
    """Return a row for each estimate, which begins with the columns of `head`."""
    rows = []
    for metric, cell in cells.items():
        low, high = cell.ci95 or (None, None)
        images_low, images_high = cell.ci95_over_images or (None, None)
        rest = {
            field.name: getattr(cell, field.name)
            for field in dataclasses.fields(cell)
            if field.name not in ("mean", "ci95", "ci95_over_images")
        }
        rows.append(
            head
            | {"metric": metric, "mean": cell.mean, "ci95_low": low, "ci95_high": high}
            | rest
            | {"ci95_over_images_low": images_low, "ci95_over_images_high": images_high}
        )
    return rows


def _arms(results: Results) -> list[str]:
    """Return the lines of a table with a row for each arm and domain."""
    columns = (
        ("arm", ""),
        ("domain", ""),
        ("images", ""),
        ("seeds", ""),
        ("IG/Gaussian", "bit/fix"),
        ("IG/KDE", "bit/fix"),
        ("LL/uniform", "bit/fix"),
        ("bias entropy", "nats"),
        ("deficit", "nats"),
        ("weight", ""),
    )
    rows = [[name for name, _ in columns], [unit for _, unit in columns]]
    for name, arm in results.arms.items():
        for key, words in domains(results).items():
            if key not in arm.domains:
                continue
            metrics = arm.domains[key].metrics
            keys = ("ig_bits_per_fixation", "ig_kde_bits_per_fixation", "ll_bits_per_fixation")
            rows.append(
                [
                    name,
                    words,
                    str(metrics[keys[0]].n_images),
                    str(len(arm.seeds) or "fixed"),
                    *(_mean(metrics[metric]) for metric in keys),
                    f"{arm.entropies['bias_entropy_nats']:.4f}",
                    f"{arm.entropies['bias_entropy_deficit_nats']:.4f}",
                    f"{arm.center_bias_weight:.3f}",
                ]
            )
    return aligned(rows)


def _mean(cell: Estimate) -> str:
    return f"{cell.mean:.4f}" + ("" if cell.ci95 is None else f" ± {(cell.ci95[1] - cell.ci95[0]) / 2:.4f}")
