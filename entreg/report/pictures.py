"""The pictures of the page: panels with a text that says the same to those who cannot see them."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from matplotlib.figure import Figure

from entreg.report import panels
from entreg.report.panels import Mean, Prediction, Range
from entreg.report.svg import svg
from entreg.report.tables import LADDER_WORDS, ig_differences
from entreg.results.answer import main_domain, main_metric
from entreg.results.domains import domains
from entreg.results.schema import IG, IG_DIFFERENCE, ArmResults, Compared, Results

SHOWN_ARMS = 4  # predictions of more arms than these would bury the page


@dataclass(frozen=True)
class Picture:
    """An image in the page.

    content: the file, a JPEG or an SVG as `kind` says; alt: what it shows, in words; width: pixels on the screen
    caption: how to read it
    """

    content: bytes
    alt: str
    width: int
    title: str = ""
    caption: str = ""
    kind: str = "jpeg"

    @property
    def source(self) -> str:
        """Its data URL."""
        mime = "image/svg+xml" if self.kind == "svg" else "image/jpeg"
        return f"data:{mime};base64,{base64.b64encode(self.content).decode()}"

    def save(self, file: BinaryIO) -> None:
        """Write the file."""
        file.write(self.content)


def picture_of(figure: Figure, alt: str, title: str = "") -> Picture:
    """Return the figure as a picture: an SVG for light and dark pages, or a JPEG where it is a photo or a map alone."""
    drawn, kind = (svg(figure), "svg") if any(axes.axison for axes in figure.axes) else (panels.jpeg(figure), "jpeg")
    return Picture(drawn, alt, round(figure.get_figwidth() * 96), title, kind=kind)


def losses(histories: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> list[Picture]:
    """Draw the training curves of all arms, a picture for each quantity. histories: see `page.Content`."""
    pictures = []
    for keys, label in panels.LOSS_PANELS:
        ends = "; ".join(
            f"{arm} ends at {np.mean([rows[-1][keys[-1]] for rows in seeds]):.4g}" for arm, seeds in histories.items()
        )
        alt = f"Curves by epoch of {' '.join(label.split())}. {ends}."
        pictures.append(picture_of(panels.history_panel(histories, keys, label), alt))
    return pictures


def ratio_maps(maps: Mapping[str, np.ndarray], what: str) -> list[Picture]:
    """Draw densities (H, W; nats) as ratios to the uniform density, on one colour scale.

    what: the words that introduce each picture, with {} for its name
    """
    greatest = panels.greatest_ratio(maps.values())
    return [
        picture_of(
            panels.bias_panel(log_density, greatest),
            f"{what.format(name)}: density between {np.exp(log_density.min()) * log_density.size:.2f} and "
            f"{np.exp(log_density.max()) * log_density.size:.2f} times the uniform density.",
            name,
        )
        for name, log_density in maps.items()
    ]


def mean_densities(maps: Mapping[str, np.ndarray], leading: str | None) -> list[Picture]:
    """Draw the mean densities of a foreign set: where people looked, then what the shown arms predict."""
    arms = shown_arms([name for name in maps if name != "fixations"], leading)
    shown = {"fixations": maps["fixations"]} | {arm: maps[arm] for arm in arms}
    return ratio_maps(shown, "Mean density of {} over the images")


def answer(results: Results) -> Picture | None:
    """Draw what the answer is about: the parts of the IG difference, else the difference itself with its interval."""
    arm, domain, metric = results.main_arm, main_domain(results), main_metric(results)
    if arm is None:
        return None
    compared = results.comparisons[arm].domains[domain]
    if metric == IG and compared.ladder:
        return dataclasses.replace(
            _waterfall(arm, compared),
            caption="What the difference is made of: each bar begins where the one above it ends, and the line on it "
            "is its own 95 % interval. Only what is left says whether the arm knows more about images.",
        )
    described = results.metrics[metric]
    cell = compared.differences[described.difference_key]
    label = f"{described.title}: difference to the baseline ({described.unit})"
    figure = panels.difference_panel({domains(results)[domain]: {arm: cell}}, label)
    alt = f"The difference of {arm} to its baseline by {described.title}: {cell.mean:+.3f}."
    caption = "The difference with its 95 % interval."
    return dataclasses.replace(picture_of(figure, alt), caption=caption)


def waterfalls(results: Results, domain: str) -> list[Picture]:
    """Draw the parts of each IG difference in a foreign domain; nothing where there is no ladder."""
    arms = shown_arms(list(results.comparisons), results.main_arm)
    return [
        dataclasses.replace(_waterfall(arm, compared), title=arm)
        for arm in arms
        if (compared := results.comparisons[arm].domains[domain]).ladder
    ]


def _waterfall(arm: str, compared: Compared) -> Picture:
    """Draw the parts of an arm's IG difference to its baseline."""
    ladder = compared.ladder or {}
    parts = {words: ladder[part] for part, words in LADDER_WORDS.items()}
    summary = "; ".join(f"{words} {cell.mean:+.3f}" for words, cell in parts.items())
    total = compared.differences[IG_DIFFERENCE]
    alt = f"Parts of the IG difference of {arm} to its baseline, {total.mean:+.3f} bit/fixation: {summary}."
    return picture_of(panels.waterfall_panel(parts, total), alt)


def differences(results: Results) -> Picture | None:
    """Draw the IG differences of all arms in all domains; None where nothing is compared."""
    cells = ig_differences(results)
    if not cells:
        return None
    summary = "; ".join(
        f"{arm} {words} {cell.mean:+.3f}" for words, arms in cells.items() for arm, cell in arms.items()
    )
    return picture_of(
        panels.difference_panel(cells), f"Mean differences with 95 % intervals (bit/fixation): {summary}."
    )


def scatter(results: Results, per_image: Sequence[Mapping[str, Any]]) -> list[list[Picture]]:
    """Draw the IG of every image, averaged over seeds, for each compared arm and domain.

    Where several arms are compared, there is a group of pictures for each domain, else a single group.
    """
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in per_image:
        values.setdefault((row["arm"], row["domain"]), {}).setdefault(row["image"], []).append(float(row[IG]))
    means = {key: {image: float(np.mean(seeds)) for image, seeds in images.items()} for key, images in values.items()}
    groups: list[list[Picture]] = []
    for domain, words in domains(results).items():
        group = []
        for arm, comparison in results.comparisons.items():
            if (arm, domain) not in means:
                continue
            base, ours = means[comparison.baseline, domain], means[arm, domain]
            pairs = np.array([(base[image], ours[image]) for image in ours])
            alt = (
                f"{arm} against {comparison.baseline} {words}: {len(pairs)} images, of which {arm} has the "
                f"higher information gain on {int((pairs[:, 1] > pairs[:, 0]).sum())}."
            )
            figure = panels.scatter_panel(pairs[:, 0], pairs[:, 1], (comparison.baseline, arm))
            group.append(picture_of(figure, alt, f"{arm}, {words}"))
        groups.append(group)
    groups = [group for group in groups if group]
    return groups if len(results.comparisons) > 1 else [sum(groups, [])] if groups else []


def shown_arms(arms: list[str], leading: str | None) -> list[str]:
    """Return the arms that are drawn: all if they are few, else the first two, a middle one and the last.

    leading: the arm of the main comparison, which is always among them
    """
    if len(arms) <= SHOWN_ARMS:
        return arms
    middle = leading if leading in arms[2:-1] else None
    return [arms[0], arms[1], middle or arms[len(arms) // 2], arms[-1]]


def examples(rows: Sequence[tuple[str, Mapping[str, Prediction]]], leading: str | None) -> list[dict[str, Any]]:
    """Draw images of a domain and what the shown arms predict for them, on one colour scale.

    rows: pairs of a label, such as `best`, and the predictions by arm
    """
    shown = [
        (label, {arm: predicted[arm] for arm in shown_arms(list(predicted), leading)}) for label, predicted in rows
    ]
    scale = panels.scale_of([prediction for _, predicted in shown for prediction in predicted.values()])
    return [_example(label, predicted, scale) for label, predicted in shown]


def _example(label: str, shown: Mapping[str, Prediction], scale: tuple[float, float]) -> dict[str, Any]:
    """Draw an image and what the arms predict for it."""
    first = next(iter(shown.values()))
    name = first.name
    alt = f"The {label} image, {name}, with {len(first.x)} fixations."
    pictures = [picture_of(panels.image_panel(first), alt, name)]
    for arm, prediction in shown.items():
        alt = f"Density predicted by {arm} for the {label} image, {name}."
        pictures.append(picture_of(panels.density_panel(prediction, scale), alt, prediction.title))
    return {"label": label, "name": name, "fixations": len(first.x), "pictures": pictures}


def lambdas(results: Results) -> list[Picture]:
    """Draw IG in and out of domain and bias entropy against lambda; nothing where the arms do not differ in lambda."""
    key = "loss.lambda_entropy"
    if key not in results.grouped_by:
        return []
    by_label: dict[str, dict[str, dict[float, Mean]]] = {}
    for name, arm in results.arms.items():
        if arm.is_baseline or not arm.seeds:
            continue
        others = [
            f"{name.removeprefix('loss.')} {value}"
            for name, value in arm.settings.items()
            if name not in (key, "loss.name")
        ]
        points = {float(arm.settings[key]): arm}
        if name in results.comparisons:
            points[0.0] = results.arms[results.comparisons[name].baseline]
        for label, cells in _quantities(points, domains(results)).items():
            by_label.setdefault(label, {}).setdefault(", ".join(others), {}).update(cells)
    pictures = []
    for label, curves in by_label.items():
        summary = "; ".join(
            f"{curve} lambda {value:g}: {cell.mean:.3f}".strip()
            for curve, cells in curves.items()
            for value, cell in sorted(cells.items())
        )
        pictures.append(picture_of(panels.lambda_panel(curves, label), f"{label} against lambda. {summary}."))
    return pictures


def _quantities(points: Mapping[float, ArmResults], words_of: Mapping[str, str]) -> dict[str, dict[float, Mean]]:
    """Return the mean and interval of each arm, by the label of the quantity and by lambda.

    The interval of the entropy is the range over seeds.

    points: the arm of each lambda; words_of: the domains in words
    """
    quantities: dict[str, dict[float, Mean]] = {
        f"IG {words} (bit/fixation)": {
            value: arm.domains[domain].metrics[IG] for value, arm in points.items() if domain in arm.domains
        }
        for domain, words in words_of.items()
    }
    quantities["bias map entropy (nats)"] = {}
    for value, arm in points.items():
        by_seed = arm.bias_entropy_nats_by_seed
        cell = Range(arm.entropies["bias_entropy_nats"], (min(by_seed), max(by_seed)))
        quantities["bias map entropy (nats)"][value] = cell
    return {label: cells for label, cells in quantities.items() if cells}
