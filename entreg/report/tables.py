"""The answer and the arms: as text for the terminal, as rows for CSV files."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DOMAINS = {"in_domain": "in domain", "ood": "out of domain"}
CLEAR = "better or worse: the interval excludes 0 and p, corrected after Holm, is below 0.05"
UNDECIDED = "no clear difference"


def terminal(results: Mapping[str, Any]) -> str:
    """The answer in a sentence for each domain, and a row for each arm."""
    return "\n".join(["", *_arms(results), "", *answer(results)])


def answer(results: Mapping[str, Any]) -> list[str]:
    """What the comparison of the first regularised arm with the baseline says, a sentence for each domain."""
    found = results["comparison"]
    if not found:
        return ["Nothing is compared: that needs a baseline (loss=nll or lambda 0) and a regularised arm."]
    lines = [
        f"{found['arm']} against {found['baseline']}: the bias map's entropy changes by "
        f"{found['bias_entropy_increase_nats']:+.4f} nats ({found['bias_entropy_increase_percent']:+.2f} %)."
    ]
    for key, words in DOMAINS.items():
        if key in found:
            lines.append(f"{words} ({results['data'][key]['name']}): {difference(found[key]['ig_difference_bits'])}")
    if len(results["comparisons"]) > 1:
        lines += ["", f"All {len(results['comparisons'])} compared arms ({CLEAR}):"]
        if results["lambda_chosen_on_validation"]:
            lines[-1] = lines[-1][:-1] + "; exploratory, which lambda is best was not fixed beforehand:"
        for key, by_verdict in overview(results).items():
            said = "; ".join(
                f"{word}: " + ", ".join(
                    f"{arm} ({results['comparisons'][arm][key]['ig_difference_bits']['mean']:+.4f})" for arm in arms
                )
                for word, arms in by_verdict.items()
            )
            lines.append(f"{DOMAINS[key]}: {said}.")
    return lines


def overview(results: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """By domain the compared arms that are better, worse, and not clearly different, as CLEAR has it."""
    found: dict[str, dict[str, list[str]]] = {}
    for key in reversed(DOMAINS):
        for arm, comparison in results["comparisons"].items():
            if key in comparison:
                word = comparison[key]["ig_difference_bits"]["verdict"]
                found.setdefault(key, {}).setdefault(word, []).append(arm)
    return found


def disagree(cell: Mapping[str, Any]) -> bool:
    """Whether the interval of the mean excludes 0, and the signed-rank test finds no difference."""
    return cell["ci95"] is not None and cell["verdict"] == UNDECIDED and not cell["ci95"][0] <= 0 <= cell["ci95"][1]


def difference(cell: Mapping[str, Any]) -> str:
    """An IG difference in words: mean, interval, p, images and seeds."""
    if cell["ci95"] is None:
        return f"IG differs by {cell['mean']:+.4f} bit/fixation on one image: no interval."
    low, high = cell["ci95"]
    seeds = "one seed: the interval covers images, not training noise" if cell["n_seeds"] == 1 else (
        f"{cell['n_seeds']} seeds, spread of the difference over them "
        + (f"{cell['std_over_seeds']:.4f}" if cell["std_over_seeds"] is not None else "n/a")
    )
    return (
        f"IG {cell['mean']:+.4f} bit/fixation (95 % interval {low:+.4f} to {high:+.4f}, Wilcoxon p = "
        f"{cell['p_wilcoxon']:.2g}, {cell['n_images']} images, {seeds}): {cell['verdict']}"
        + (f", as p corrected after Holm is {cell['p_holm']:.2g}." if disagree(cell) else ".")
    )


def arms(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """arms.csv: a row for each metric, of an arm in a domain; what belongs to no domain (bias entropies) has none."""
    found = []
    for name, arm in results["arms"].items():
        for domain in (key for key in DOMAINS if key in arm):
            found += _rows(arm[domain], arm=name, domain=domain)
        numbers = {key: value for key, value in arm.items() if isinstance(value, float)}
        found += [{"arm": name, "domain": None, "metric": key, "mean": value} for key, value in numbers.items()]
    return found


def comparisons(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """comparisons.csv: a row for each metric, of an arm's difference to its baseline in a domain."""
    return [
        row for name, found in results["comparisons"].items() for domain in DOMAINS if domain in found
        for row in _rows(found[domain], arm=name, baseline=found["baseline"], domain=domain)
    ]


def _rows(cells: Mapping[str, Any], **head: str) -> list[dict[str, Any]]:
    found = []
    for metric, cell in cells.items():
        if isinstance(cell, Mapping) and "ci95" in cell:
            low, high = cell["ci95"] or (None, None)
            rest = {key: value for key, value in cell.items() if key not in ("mean", "ci95")}
            found.append(head | {"metric": metric, "mean": cell["mean"], "ci95_low": low, "ci95_high": high} | rest)
    return found


def _arms(results: Mapping[str, Any]) -> list[str]:
    head = ["arm", "domain", "images", "IG/Gaussian", "IG/KDE", "LL/uniform", "bias entropy", "deficit", "weight"]
    unit = ["", "", "", "bit/fix", "bit/fix", "bit/fix", "nats", "nats", ""]
    rows = [head, unit]
    for name, arm in results["arms"].items():
        for key, words in DOMAINS.items():
            if key not in arm:
                continue
            metrics = ("ig_bits_per_fixation", "ig_kde_bits_per_fixation", "ll_bits_per_fixation")
            cells = [_mean(arm[key][metric]) for metric in metrics]
            rows.append([
                name, words, str(arm[key]["ig_bits_per_fixation"]["n_images"]), *cells,
                f"{arm['bias_entropy_nats']:.4f}", f"{arm['bias_entropy_deficit_nats']:.4f}",
                f"{arm['center_bias_weight']:.3f}",
            ])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _mean(cell: Mapping[str, Any]) -> str:
    spread = "" if cell["std"] is None else f" ± {cell['std']:.3f}"
    return f"{cell['mean']:.4f}{spread}"
