"""report.html: what an evaluation found, as one self-contained page."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from entreg import files
from entreg.report import commands, literature, panels
from entreg.report.numbers import MISSING, Numbers
from entreg.report.panels import Prediction
from entreg.report.tables import LADDER_WORDS, domains, main_first, overview
from entreg.run.folder import RunFolder

PRIMARY = "ig_bits_per_fixation"
TEMPLATES = Path(__file__).parent / "templates"
SHOWN_ARMS = 4  # predictions of more arms than these would bury the page


@dataclass(frozen=True)
class Picture:
    """A PNG as it stands in the page."""

    source: str
    alt: str
    width: int
    title: str = ""


@dataclass(frozen=True)
class Content:
    """What a page shows.

    results: what results.json holds; per_image: per_image.csv's rows
    histories: by arm, for each training metrics.csv's rows; bias_maps: by arm (H, W) nats
    mean_densities: by foreign domain, (H, W) nats of `fixations` and of each arm
    examples: by domain (best, median or worst, prediction by arm)
    provenance: the evaluation's; the runs' own commands and commits are read from their folders
    """

    results: Mapping[str, Any]
    per_image: Sequence[Mapping[str, Any]]
    histories: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
    bias_maps: Mapping[str, np.ndarray]
    mean_densities: Mapping[str, Mapping[str, np.ndarray]]
    examples: Mapping[str, Sequence[tuple[str, Mapping[str, Prediction]]]]
    provenance: Mapping[str, Any]


def write(folder: RunFolder, content: Content) -> None:
    """Writes the page into an evaluation's folder."""
    results = content.results
    arms, compared = results["arms"], results["comparison"]
    folders = {name: [RunFolder(Path(run)) for run in arm["runs"]] for name, arm in arms.items()}
    runs = {
        name: [(place, commands.command_of(place), commands.commit_of(place)) for place in places]
        for name, places in folders.items()
    }
    foreign = [key for key in results["data"] if key != "in_domain"]
    primary = results["primary"]
    leading = compared.get("arm")
    is_primary = bool(compared) and primary["arm"] == compared["arm"]
    context = {
        "r": results,
        "arms": arms,
        "compared": compared,
        "n": Numbers(results),
        "missing": MISSING,
        "ig": PRIMARY,
        "main": main_first(results)[0],
        "main_first": main_first(results),
        "domains": domains(results),
        # the metric of the primary outcome, where that is not IG and stands in a sentence of its own
        "other_metric": results["metrics"][primary["metric"]] if is_primary and primary["metric"] != PRIMARY else None,
        "judged_by": {metric for arm in arms.values() for key in results["data"] for metric in arm[key]},
        "short": {key: data["name"] for key, data in results["data"].items()}
        | {"in_domain": "in domain", "ood": "foreign mean"},
        "foreign": foreign,
        "many": len(results["comparisons"]) > 1,
        "most_trainings": max(len(arm["seeds"]) for arm in arms.values()),
        "most_folds": max(arm["folds"] for arm in arms.values()),
        "one_training": any(len(arm["seeds"]) == 1 for arm in arms.values()),
        "overview": overview(results),
        "breakable": lambda name: Markup("_<wbr>").join(name.split("_")),
        "synthetic": any(f"oracle_{PRIMARY}" in arm[key] for arm in arms.values() for key in results["data"]),
        "losses": _losses(content.histories),
        "bias_maps": _ratio_maps(content.bias_maps, "Bias map of {}"),
        "mean_densities": {key: _mean_densities(maps, leading) for key, maps in content.mean_densities.items()},
        "waterfalls": {key: _waterfalls(results, key) for key in foreign},
        "differences": _differences(results),
        "scatter": _scatter(results, content.per_image),
        "examples": {
            key: [_example(label, predicted, leading) for label, predicted in rows]
            for key, rows in content.examples.items()
        },
        "shown": _shown(list(arms), leading),
        "lambdas": _lambdas(results),
        "published": literature.PUBLISHED,
        "comparable": literature.comparable(results["data"]["in_domain"]["name"]),
        "runs": runs,
        "runs_known": any(command for rows in runs.values() for _, command, _ in rows),
        "repeat": "\n".join(commands.repeat([place for places in folders.values() for place in places], folder)),
        "provenance": _flat(content.provenance),
        "css": (TEMPLATES / "page.css").read_text(encoding="utf-8"),
    }
    context["contents"] = _contents(context)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = lambda text: (
        Markup(str(text)[:1].upper() + str(text)[1:]) if isinstance(text, Markup) else text[:1].upper() + text[1:]
    )
    files.write_text(folder.report, environment.get_template("page.html.j2").render(context))


def _contents(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Identifier and title of each section that the page has."""
    sections = [
        ("arms", "Arms", True),
        ("bias", "Bias maps", True),
        ("foreign", "Out of domain", context["foreign"]),
        ("training", "Training", True),
        ("images", "Image by image", context["scatter"]),
        ("predictions", "Predictions", True),
        ("lambda", "Lambda", context["lambdas"]),
        ("comparisons", "Comparisons", context["r"]["comparisons"]),
        ("literature", "Literature", True),
        ("limits", "Limits", True),
        ("repeat", "Repeat it", True),
        ("units", "Units", True),
    ]
    return [(id_, title) for id_, title, there in sections if there]


def _picture(figure: Any, alt: str, title: str = "") -> Picture:
    source = "data:image/png;base64," + base64.b64encode(panels.png(figure)).decode()
    return Picture(source, alt, round(figure.get_figwidth() * 96), title)


def _losses(histories: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> list[Picture]:
    panes = []
    for keys, label in panels.LOSS_PANELS:
        ends = "; ".join(
            f"{arm} ends at {np.mean([rows[-1][keys[-1]] for rows in seeds]):.4g}" for arm, seeds in histories.items()
        )
        alt = f"Curves by epoch of {' '.join(label.split())}. {ends}."
        panes.append(_picture(panels.history_panel(histories, keys, label), alt))
    return panes


def _ratio_maps(maps: Mapping[str, np.ndarray], what: str) -> list[Picture]:
    """Densities (H, W; nats) as ratios to the uniform one, on one colour scale; what: the picture of {}, in words."""
    greatest = max(float(np.exp(m).max()) * m.size for m in maps.values())
    return [
        _picture(
            panels.bias_panel(log_density, greatest),
            f"{what.format(name)}: density between {np.exp(log_density.min()) * log_density.size:.2f} and "
            f"{np.exp(log_density.max()) * log_density.size:.2f} times the uniform density.",
            name,
        )
        for name, log_density in maps.items()
    ]


def _mean_densities(maps: Mapping[str, np.ndarray], leading: str | None) -> list[Picture]:
    arms = _shown([name for name in maps if name != "fixations"], leading)
    shown = {"fixations": maps["fixations"]} | {arm: maps[arm] for arm in arms}
    return _ratio_maps(shown, "Mean density of {} over the photos")


def _waterfalls(results: Mapping[str, Any], domain: str) -> list[Picture]:
    """What each IG difference is made of in a foreign domain; none where there is no ladder."""
    pictures = []
    for arm in _shown(list(results["comparisons"]), results["comparison"].get("arm")):
        compared = results["comparisons"][arm][domain]
        if compared["ladder"]:
            parts = {words: compared["ladder"][part] for part, words in LADDER_WORDS.items()}
            said = "; ".join(f"{words} {cell['mean']:+.3f}" for words, cell in parts.items())
            total = compared["ig_difference_bits"]
            figure = panels.waterfall_panel(parts, total)
            alt = f"Parts of the IG difference of {arm} to its baseline, {total['mean']:+.3f} bit/fixation: {said}."
            pictures.append(_picture(figure, alt, arm))
    return pictures


def _differences(results: Mapping[str, Any]) -> Picture | None:
    cells = {
        words: {arm: found[key]["ig_difference_bits"] for arm, found in results["comparisons"].items() if key in found}
        for key, words in domains(results).items()
    }
    cells = {words: arms for words, arms in cells.items() if arms}
    if not cells:
        return None
    said = "; ".join(
        f"{arm} {words} {cell['mean']:+.3f}" for words, arms in cells.items() for arm, cell in arms.items()
    )
    return _picture(panels.difference_panel(cells), f"Mean differences with 95 % intervals (bit/fixation): {said}.")


def _scatter(results: Mapping[str, Any], per_image: Sequence[Mapping[str, Any]]) -> list[list[Picture]]:
    """A panel for each compared arm and domain: IG image by image, averaged over seeds. Grouped by domain if many."""
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in per_image:
        values.setdefault((row["arm"], row["domain"]), {}).setdefault(row["image"], []).append(float(row[PRIMARY]))
    means = {key: {image: float(np.mean(seeds)) for image, seeds in images.items()} for key, images in values.items()}
    groups: list[list[Picture]] = []
    for domain, words in domains(results).items():
        group = []
        for arm, comparison in results["comparisons"].items():
            if (arm, domain) not in means:
                continue
            base, ours = means[comparison["baseline"], domain], means[arm, domain]
            pairs = np.array([(base[image], ours[image]) for image in ours])
            alt = (
                f"{arm} against {comparison['baseline']} {words}: {len(pairs)} images, of which {arm} has the "
                f"higher information gain on {int((pairs[:, 1] > pairs[:, 0]).sum())}."
            )
            figure = panels.scatter_panel(pairs[:, 0], pairs[:, 1], (comparison["baseline"], arm))
            group.append(_picture(figure, alt, f"{arm}, {words}"))
        groups.append(group)
    groups = [group for group in groups if group]
    return groups if len(results["comparisons"]) > 1 else [sum(groups, [])] if groups else []


def _shown(arms: list[str], leading: str | None) -> list[str]:
    """Arms that have pictures: all if they are few, else the first two, a middle one and the last.

    leading: the arm of the main comparison, which is always among them
    """
    if len(arms) <= SHOWN_ARMS:
        return arms
    middle = leading if leading in arms[2:-1] else None
    return [arms[0], arms[1], middle or arms[len(arms) // 2], arms[-1]]


def _example(label: str, predicted: Mapping[str, Prediction], leading: str | None) -> dict[str, Any]:
    shown = {arm: predicted[arm] for arm in _shown(list(predicted), leading)}
    first = next(iter(shown.values()))
    name = first.name
    scale = panels.scale_of(list(shown.values()))
    alt = f"The {label} image, {name}, with {len(first.x)} fixations."
    pictures = [_picture(panels.image_panel(first), alt, name)]
    for arm, prediction in shown.items():
        alt = f"Density predicted by {arm} for the {label} image, {name}."
        pictures.append(_picture(panels.density_panel(prediction, scale), alt, prediction.title))
    return {"label": label, "name": name, "fixations": len(first.x), "pictures": pictures}


def _lambdas(results: Mapping[str, Any]) -> list[Picture]:
    """IG in and out of domain and bias entropy against lambda; none where the arms do not differ in it."""
    key = "loss.lambda_entropy"
    if key not in results["grouped_by"]:
        return []
    by_label: dict[str, dict[str, dict[float, Any]]] = {}
    for name, arm in results["arms"].items():
        if arm["is_baseline"] or not arm["seeds"]:
            continue
        others = [f"{k.removeprefix('loss.')} {v}" for k, v in arm["settings"].items() if k not in (key, "loss.name")]
        points = {float(arm["settings"][key]): arm}
        if name in results["comparisons"]:
            points[0.0] = results["arms"][results["comparisons"][name]["baseline"]]
        for label, cells in _quantities(points, domains(results)).items():
            by_label.setdefault(label, {}).setdefault(", ".join(others), {}).update(cells)
    found = []
    for label, curves in by_label.items():
        said = "; ".join(
            f"{curve} lambda {value:g}: {cell['mean']:.3f}".strip()
            for curve, cells in curves.items()
            for value, cell in sorted(cells.items())
        )
        found.append(_picture(panels.lambda_panel(curves, label), f"{label} against lambda. {said}."))
    return found


def _quantities(points: Mapping[float, Mapping[str, Any]], words_of: Mapping[str, str]) -> dict[str, dict[float, Any]]:
    """What is drawn against lambda, by its label: mean and interval (the entropy's: the seeds' range) of each arm."""
    quantities = {
        f"IG {words} (bit/fixation)": {value: arm[domain][PRIMARY] for value, arm in points.items() if domain in arm}
        for domain, words in words_of.items()
    }
    quantities["bias map entropy (nats)"] = {}
    for value, arm in points.items():
        by_seed = arm["bias_entropy_nats_by_seed"]
        cell = {"mean": arm["bias_entropy_nats"], "ci95": (min(by_seed), max(by_seed)), "ci95_over_images": None}
        quantities["bias map entropy (nats)"][value] = cell
    return {label: cells for label, cells in quantities.items() if cells}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Keys joined by blanks and their values; what is None is left out."""
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name} ")
        elif isinstance(value, bool):
            rows.append((name, "yes" if value else "no"))
        elif value is not None and not (isinstance(value, float) and math.isnan(value)):
            rows.append((name, str(value)))
    return rows
