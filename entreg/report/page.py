"""Write report.html: the results of an evaluation as one self-contained page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from entreg.io import files
from entreg.report import commands, data_pictures, html, literature, pictures, set_pictures
from entreg.report.illustrations import Illustrations
from entreg.report.numbers import MISSING, Numbers
from entreg.report.set_tables import BAR_WORDS, SET_WORDS, against_baseline
from entreg.report.tables import on_a_new_set, overview, settings
from entreg.results.answer import WITHOUT_ORDER, main_metric
from entreg.results.domains import compared_rows, domains, kind_in_words, learned_from, main_first
from entreg.results.schema import IG, ONE_ORDER, ArmMatrix, MatrixCell, Results, is_foreign
from entreg.results.writing import plain
from entreg.runs.folder import RunFolder
from entreg.study.look import Look

MINUS = re.compile(r"(?<=[ (])-(?=\d)")  # before a number, not within a word


@dataclass(frozen=True)
class Content(Illustrations):
    """What a page shows.

    results: those of the evaluation; per_image: the rows of per_image.csv
    looks: by domain, what its data set looks like
    provenance: that of the evaluation; the commands and commits of the runs are read from their folders
    """

    results: Results
    per_image: Sequence[Mapping[str, Any]]
    looks: Mapping[str, Look]
    provenance: Mapping[str, Any]


def write(folder: RunFolder, content: Content) -> None:
    """Write the page into an evaluation's folder."""
    results = content.results
    arms, leading = results.arms, results.main_arm
    compared = None if leading is None else results.comparisons[leading]
    folders = {name: [RunFolder(Path(run)) for run in of_arm] for name, of_arm in _runs(results).items()}
    runs = {
        name: [(run, commands.command_of(run), commands.commit_of(run)) for run in arm_folders]
        for name, arm_folders in folders.items()
    }
    foreign = [key for key in results.data if is_foreign(key)]
    metric = main_metric(results)
    context = {
        "r": results,
        "arms": arms,
        "compared": compared,
        "leading": leading,
        "n": Numbers(plain(results)),
        "missing": MISSING,
        "ig": IG,
        "main": main_first(results)[0],
        "main_first": main_first(results),
        "domains": domains(results),
        "kind": kind_in_words,
        # the metric of the primary outcome, which has a sentence of its own where it is not IG
        "other_metric": results.metrics[metric] if metric != IG else None,
        "measured": {metric for arm in arms.values() for key in results.data for metric in arm.domains[key].metrics},
        "short": {
            key: data.name if is_foreign(key) else f"in domain ({data.name})" for key, data in results.data.items()
        }
        | {"in_domain": "in domain", "left_out": "left-out mean", "ood": "foreign mean"},
        "foreign": foreign,
        "many": len(results.comparisons) > 1,
        "most_trainings": max(len(arm.seeds) for arm in arms.values()),
        "most_folds": max(1 if arm.sets_left_out else arm.folds for arm in arms.values()),
        "judged_by": [key for key in results.data if not key.startswith("left_out.")],
        # each by a model of its own, where there are several in a training
        "left_out": sorted({name for arm in arms.values() for name in arm.sets_left_out or [] if arm.folds > 1}),
        "one_training": any(len(arm.seeds) == 1 for arm in arms.values()),
        "overview": overview(results),
        "settings": settings(results),
        "set_pictures": {arm: set_pictures.page_pictures(results.matrix, arm) for arm in results.matrix.arms}
        if results.matrix
        else {},
        "set_rows": _set_rows,
        "learned_from": learned_from,
        "bar_words": BAR_WORDS,
        "set_words": SET_WORDS,
        "compared_rows": compared_rows(results),
        "against_baseline": [MINUS.sub("−", line) for line in against_baseline(results)],
        "one_order": ONE_ORDER,
        "without_order": WITHOUT_ORDER,
        "others_in": lambda key: [name for name, other in (results.others or {}).items() if key in other.domains],
        "in_words": _in_words,
        "new_set": []
        if compared is None
        else [MINUS.sub("−", line) for line in on_a_new_set(compared.domains[main_first(results)[0]])],
        "breakable": lambda name: Markup("_<wbr>").join(name.split("_")),
        "data_pictures": {key: data_pictures.overview(look) for key, look in content.looks.items()},
        "losses": pictures.losses(content.histories),
        "bias_maps": pictures.ratio_maps(content.bias_maps, "Bias map of {}"),
        "mean_densities": {key: pictures.mean_densities(maps, leading) for key, maps in content.mean_densities.items()},
        "answer_picture": set_pictures.answer(results) or pictures.answer(results),
        "waterfalls": {key: pictures.waterfalls(results, key) for key in foreign},
        "differences": pictures.differences(results),
        "scatter": pictures.scatter(results, content.per_image),
        "examples": {key: pictures.examples(rows, leading) for key, rows in content.examples.items()},
        "shown": pictures.shown_arms(list(arms), leading),
        "lambdas": pictures.lambdas(results),
        "published": literature.PUBLISHED,
        "comparable": literature.comparable(
            ", ".join(data.name for key, data in results.data.items() if not is_foreign(key))
        ),
        "runs": runs,
        "runs_known": any(command for rows in runs.values() for _, command, _ in rows),
        "repeat": "\n".join(commands.repeat([run for arm_folders in folders.values() for run in arm_folders], folder)),
        "provenance": _flat(content.provenance),
    }
    context["contents"] = _contents(context)
    files.write_text(folder.report, html.render("page.html.j2", context))


def _contents(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the identifier and the title of each section of the page."""
    sections = [
        ("arms", "Arms", True),
        ("sets", "Sets", context["r"].matrix),
        ("bias", "Bias maps", True),
        ("foreign", "Out of domain", context["foreign"]),
        ("training", "Training", True),
        ("images", "Image by image", context["scatter"]),
        ("predictions", "Predictions", True),
        ("lambda", "Lambda", context["lambdas"]),
        ("data", "Data", context["data_pictures"]),
        ("comparisons", "Comparisons", context["r"].comparisons),
        ("literature", "Literature", True),
        ("limits", "Limits", True),
        ("settings", "Settings", context["settings"]),
        ("repeat", "Repeat it", True),
        ("units", "Units", True),
    ]
    return [(id_, title) for id_, title, is_there in sections if is_there]


def _runs(results: Results) -> dict[str, list[str]]:
    """Return the runs of each arm, then those that learned from other sets, by the arm and these sets."""
    runs = {name: arm.runs for name, arm in results.arms.items()}
    compared = {run for of_arm in runs.values() for run in of_arm}
    for name, arm in results.matrix.arms.items() if results.matrix else ():
        for row, of_row in arm.runs.items():
            if beside := [run for run in of_row if run not in compared]:
                runs[f"{name}, learned from {row}"] = beside
    return runs


def _set_rows(arm: ArmMatrix) -> dict[tuple[str, ...], dict[str, tuple[int, MatrixCell]]]:
    """Return, by what was learned from and what is judged, each cell of a matrix with its number in results.json."""
    rows: dict[tuple[str, ...], dict[str, tuple[int, MatrixCell]]] = {}
    for number, cell in enumerate(arm.cells):
        rows.setdefault(tuple(cell.trained_on), {})[cell.judged_on] = number, cell
    return rows


def _in_words(value: Any) -> str:
    """Return the value of a setting as it is typed on the command line."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_in_words, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_in_words(one)}" for key, one in value.items()) + "}"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return keys, joined by blanks, with their values; values that are None or NaN are left out."""
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
