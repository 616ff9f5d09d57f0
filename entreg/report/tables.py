"""The answer and the arms: as text for the terminal, as rows for CSV files. All is read from results.json's content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IG, IG_WORDS = "ig_bits_per_fixation", "IG"
LADDER_WORDS = {
    "scale": "scale of the predictions",
    "spread": "spread of the predictions",
    "centre_bias": "centre bias",
    "rest": "what is left",
}


def domains(results: Mapping[str, Any]) -> dict[str, str]:
    """The domains that are shown, in words: in domain, the mean over several foreign sets, each foreign set."""
    sets, planned = [key for key in results["data"] if key != "in_domain"], results["primary"]["planned"]
    words = {"in_domain": "in domain"}
    if len(planned) > 1:  # one set is its own mean
        words["ood"] = f"out of domain, mean of {len(planned)} sets"
    return words | {key: f"out of domain ({results['data'][key]['name']})" for key in sets}


def main_first(results: Mapping[str, Any]) -> list[str]:
    """The domains that are shown: the primary outcome's, else out of domain; then the other ones."""
    primary = results["primary"]
    wanted = primary["domain"] if primary["arm"] else "ood"
    in_domain, *foreign = domains(results)
    order = [*foreign, in_domain]
    if wanted == "ood" and wanted not in order and primary["planned"]:
        wanted = f"ood.{primary['planned'][0]}"
    main = wanted if wanted in order else order[0]
    return [main, *(key for key in order if key != main)]


def terminal(results: Mapping[str, Any]) -> str:
    """The answer in a few sentences, and a row for each arm and domain."""
    return "\n".join(["", *_arms(results), "", *answer(results)])


def answer(results: Mapping[str, Any]) -> list[str]:
    """What the main comparison says, and what all others say in short."""
    compared = results["comparison"]
    if not compared:
        return ["Nothing is compared: that needs a baseline (loss=nll or lambda 0) and a regularised arm."]
    primary = results["primary"]
    lines = [f"{compared['arm']} against {compared['baseline']} ({compared['seeds']}):"]
    if primary["arm"] is None:
        lines.append(f"All comparisons are exploratory: {primary['why']}.")
    words, metrics = domains(results), results["metrics"]
    for number, key in enumerate(main_first(results)):
        of_primary = number == 0 and primary["arm"] == compared["arm"]
        if of_primary and primary["metric"] != IG:
            metric = metrics[primary["metric"]]
            lines.append(f"{words[key]} (primary): {difference(compared[key][metric['difference_key']], metric)}")
            of_primary = False
        mark = " (primary)" if of_primary else ""
        lines.append(f"{words[key]}{mark}: {difference(compared[key]['ig_difference_bits'], metrics[IG])}")
        lines += [f"  {line}" for line in made_of(compared[key], metrics)]
    interval = compared["bias_entropy_increase_ci95_nats"]
    over_seeds = "" if interval is None else f"; 95 % interval over seeds {interval[0]:+.4f} to {interval[1]:+.4f} nats"
    lines.append(
        f"The bias map's entropy changes by {compared['bias_entropy_increase_nats']:+.4f} nats "
        f"({compared['bias_entropy_increase_percent']:+.2f} %{over_seeds})."
    )
    if len(results["comparisons"]) > 1:
        apart = ["the primary outcome's"] if primary["arm"] else []
        fixed = any(not results["arms"][arm]["seeds"] for arm in results["comparisons"])
        apart += ["a published model's"] if fixed else []
        lines += [
            "",
            f"All {len(results['comparisons'])} compared arms by {IG_WORDS}; p is corrected for their number"
            + (f", but for {' and '.join(apart)}" if apart else "")
            + (
                ". Which lambda is best was not fixed beforehand, so that any choice is exploratory:"
                if results["lambda_chosen_on_validation"]
                else ":"
            ),
        ]
        for key, by_verdict in overview(results).items():
            said = "; ".join(
                f"{word}: "
                + ", ".join(
                    f"{arm} ({results['comparisons'][arm][key]['ig_difference_bits']['mean']:+.4f})" for arm in arms
                )
                for word, arms in by_verdict.items()
            )
            lines.append(f"{words[key]}: {said}.")
    return lines


def overview(results: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """By domain the compared arms by verdict."""
    by_domain: dict[str, dict[str, list[str]]] = {}
    for key in main_first(results) if results["comparisons"] else []:
        for arm, comparison in results["comparisons"].items():
            word = comparison[key]["ig_difference_bits"]["verdict"]
            by_domain.setdefault(key, {}).setdefault(word, []).append(arm)
    return by_domain


def difference(cell: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    """A metric's difference in words: mean, interval, p, verdict, and what more seeds would buy."""
    name = IG_WORDS if metric["key"] == IG else metric["title"]
    mean = f"{name} {cell['mean']:+.4f}" + (f" {metric['unit']}" if metric["unit"] == "bit/fixation" else "")
    if cell["seeds"] == "one training":
        low, high = cell["ci95_over_images"] or (None, None)
        interval = "" if low is None else f" ({low:+.4f} to {high:+.4f} with other images like these)"
        return f"these trained models differ by {mean}{interval}; one training cannot tell the arms apart."
    if cell["ci95"] is None:
        return f"{mean} on one image: no interval."
    low, high = cell["ci95"]
    return (
        f"{mean} (95 % interval over images and seeds {low:+.4f} to {high:+.4f}, p = {cell['p_holm']:.2g}, "
        f"{cell['n_images']} images, {cell['n_seeds']} seeds): {cell['verdict']}"
        f"{' (exploratory)' if cell['exploratory'] else ''}. {halving(cell)}"
    )


def halving(cell: Mapping[str, Any]) -> str:
    """What more seeds would buy."""
    if cell["seeds_to_halve"] is None:
        return "No number of seeds would halve the interval: it comes from the images."
    return f"{cell['seeds_to_halve']} seeds would halve the interval."


def made_of(compared: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """What an IG difference is made of, where there is a ladder."""
    ladder = compared["ladder"]
    lines = []
    if ladder:
        lines.append(
            f"of {compared['ig_difference_bits']['mean']:+.4f}: {_part(ladder['scale_and_spread'])} is "
            f"{compared['sharpness']} predictions (scale {_part(ladder['scale'])}, spread {_part(ladder['spread'])}), "
            f"{_part(ladder['centre_bias'])} centre bias, and {_part(ladder['rest'])} is left."
        )
    if compared["reading"]:
        lines.append(f"{compared['reading']}.")
    lower = [
        f"{metrics[key]['title']} ({compared[metrics[key]['difference_key']]['mean']:+.4f})"
        for key in compared["lower_while_ig_higher"]
    ]
    if lower:
        lines.append(f"IG as trained is higher, but {' and '.join(lower)} {'is' if len(lower) == 1 else 'are'} lower.")
    return lines


def arms(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """arms.csv: a row for each metric of an arm in a domain; what belongs to no domain (bias entropies) has none."""
    found = []
    for name, arm in results["arms"].items():
        for domain in (key for key in arm if key in ("in_domain", "ood") or key.startswith("ood.")):
            found += _rows(arm[domain], arm=name, domain=domain)
        numbers = {key: value for key, value in arm.items() if isinstance(value, float)}
        found += [{"arm": name, "domain": None, "metric": key, "mean": value} for key, value in numbers.items()]
    return found


def comparisons(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """comparisons.csv: a row for each metric, and for each part of the ladder, of an arm's difference in a domain."""
    rows = []
    for name, comparison in results["comparisons"].items():
        for domain in (key for key in comparison if key in ("in_domain", "ood") or key.startswith("ood.")):
            head = {"arm": name, "baseline": comparison["baseline"], "domain": domain}
            rows += _rows(comparison[domain], **head)
            ladder = comparison[domain]["ladder"] or {}
            rows += _rows({f"ladder.{part}": cell for part, cell in ladder.items()}, **head)
    return rows


def _part(cell: Mapping[str, Any]) -> str:
    ends = cell["ci95"] or cell["ci95_over_images"]
    return f"{cell['mean']:+.4f}" + ("" if ends is None else f" ({ends[0]:+.4f} to {ends[1]:+.4f})")


def _rows(cells: Mapping[str, Any], **head: str) -> list[dict[str, Any]]:
    rows = []
    for metric, cell in cells.items():
        if isinstance(cell, Mapping) and "ci95" in cell:
            low, high = cell["ci95"] or (None, None)
            images_low, images_high = cell["ci95_over_images"] or (None, None)
            rest = {key: value for key, value in cell.items() if key not in ("mean", "ci95", "ci95_over_images")}
            rows.append(
                head
                | {"metric": metric, "mean": cell["mean"], "ci95_low": low, "ci95_high": high}
                | rest
                | {"ci95_over_images_low": images_low, "ci95_over_images_high": images_high}
            )
    return rows


def _arms(results: Mapping[str, Any]) -> list[str]:
    head = [
        "arm",
        "domain",
        "images",
        "seeds",
        "IG/Gaussian",
        "IG/KDE",
        "LL/uniform",
        "bias entropy",
        "deficit",
        "weight",
    ]
    unit = ["", "", "", "", "bit/fix", "bit/fix", "bit/fix", "nats", "nats", ""]
    rows = [head, unit]
    for name, arm in results["arms"].items():
        for key, words in domains(results).items():
            if key not in arm:
                continue
            metrics = ("ig_bits_per_fixation", "ig_kde_bits_per_fixation", "ll_bits_per_fixation")
            rows.append(
                [
                    name,
                    words,
                    str(arm[key][metrics[0]]["n_images"]),
                    str(len(arm["seeds"]) or "fixed"),
                    *(_mean(arm[key][metric]) for metric in metrics),
                    f"{arm['bias_entropy_nats']:.4f}",
                    f"{arm['bias_entropy_deficit_nats']:.4f}",
                    f"{arm['center_bias_weight']:.3f}",
                ]
            )
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _mean(cell: Mapping[str, Any]) -> str:
    ends = cell["ci95"]
    return f"{cell['mean']:.4f}" + ("" if ends is None else f" ± {(ends[1] - ends[0]) / 2:.4f}")
