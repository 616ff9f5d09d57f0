"""task=figures: draw an evaluation for a paper, as PDF, SVG and PNG in two widths, with numbers and a LaTeX table."""

from __future__ import annotations

import functools
import glob
import logging
from pathlib import Path

from entreg.config import Config
from entreg.errors import SettingError, UserError
from entreg.io import files
from entreg.progress import Progress
from entreg.report import illustrations, latex, paper_figures
from entreg.report.paper_figures import KINDS, WIDTHS_MM
from entreg.results import reading
from entreg.results.schema import Results
from entreg.runs.folder import RunFolder


def check(config: Config) -> None:
    """Raise a SettingError where no evaluation is named."""
    if config.runs is None:
        raise SettingError(
            "task=figures needs the folder of an evaluation: runs=FOLDER (a glob, such as runs='outputs/mine*', draws "
            "several, also side by side)"
        )


def figures(config: Config, folder: RunFolder) -> int:
    """Draw the evaluations at config.runs in `folder`; return the number of files.

    Raises a UserError where there is no evaluation, or an earlier version made it.
    """
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # else each embedded font writes lines to the log
    places = evaluations_at(config.runs or "")
    named: dict[str, Results] = {}
    drawn = []
    for number, place in enumerate(places, 1):
        results = reading.read(place.results)
        prefix = f"{number}_" if len(places) > 1 else ""
        named[f"{prefix}{results.study}"] = results
        drawn += [(prefix, one) for one in paper_figures.figures_of(results, illustrations.read(place.illustrations))]
    if len(places) > 1 and (together := paper_figures.side_by_side(named)) is not None:
        drawn.append(("", together))
    with Progress("drawing", len(drawn), "figure") as progress:
        for prefix, figure in drawn:
            name = prefix + figure.name
            for width_mm in WIDTHS_MM:
                for kind in KINDS:
                    save = functools.partial(figure.save, width_mm=width_mm, kind=kind)
                    files.write(folder.figure(name, width_mm, kind), save)
            files.write_csv(folder.figure_numbers(name), [dict(row) for row in figure.numbers])
            progress.step()
    files.write_text(folder.arms_table, latex.table(named))
    folder.finish()
    print(folder.arms_table.parent)
    return len(drawn) * (len(WIDTHS_MM) * len(KINDS) + 1) + 1


def evaluations_at(pattern: str) -> list[RunFolder]:
    """Return the folders of evaluations that a folder's name or a glob finds.

    Raises a UserError where there is none, or where one lacks what figures are drawn of.
    """
    found = sorted(Path(place) for place in glob.glob(str(Path(pattern).expanduser())))  # noqa: PTH207  # ~ and / too
    places = [RunFolder(path) for path in found if RunFolder(path).results.is_file()]
    if not places:
        raise UserError(
            f"runs={pattern}: there is no evaluation (a folder with {RunFolder(Path()).results}); make one with\n"
            "  python train.py task=evaluate runs=SWEEP"
        )
    for place in places:
        if not place.illustrations.is_file():
            raise UserError(f"{place} is an evaluation of an earlier version, without maps and photos; evaluate again")
    return places
