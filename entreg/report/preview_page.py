"""Write preview.html: what a data set looks like before anything is trained on it, as one self-contained page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from entreg.io import files
from entreg.report import data_pictures, html
from entreg.report.pictures import Picture
from entreg.runs.folder import RunFolder
from entreg.study.look import EXAMPLES, Look


@dataclass(frozen=True)
class Section:
    """What the page shows of one data set.

    examples: images with their fixations, by why they are shown; remarks: warnings, by what they stand beside: `set`,
        `examples` or `distributions`
    """

    name: str
    look: Look
    counts: dict[str, str]
    examples: dict[str, list[Picture]]
    distributions: list[Picture]
    remarks: dict[str, list[str]]


def write(folder: RunFolder, looks: Mapping[str, Look], after_each: Callable[[], object] = lambda: None) -> None:
    """Write the pictures as files, and the page with all of them.

    looks: by the key of the data set, such as `data` or `ood.scene50`
    after_each: called after each image that is drawn
    """
    sections = {key: _section(look, after_each) for key, look in looks.items()}
    for key, section in sections.items():
        pictures = [*(picture for group in section.examples.values() for picture in group), *section.distributions]
        for number, picture in enumerate(pictures):
            files.write(folder.preview_picture(key, number, picture.kind), picture.save)
    files.write_text(folder.preview, html.render("preview_page.html.j2", {"sections": sections}))


def counts(look: Look) -> dict[str, str]:
    """Return how much there is, in words by what is counted."""
    dropped = {f"fixations {reason}, dropped": f"{count:,}" for reason, count in look.dataset.dropped.items()}
    return {
        "images in the set": f"{len(look.dataset.stimuli):,}",
        "images chosen": f"{len(look.images):,}",
        "images used": f"{int((look.counts > 0).sum()):,} (the chosen ones that have fixations)",
        "fixations read": f"{look.dataset.rows_read:,}",
        **dropped,
        "fixations used": f"{len(look.fixations):,}",
        "people": "not known" if look.by_person is None else f"{len(look.by_person):,}",
    }


def _section(look: Look, after_each: Callable[[], object]) -> Section:
    drawn = dict(zip(look.examples, data_pictures.examples(look, after_each), strict=True))
    by_why = {why: [drawn[image] for image, shown in look.examples.items() if shown == why] for why in EXAMPLES}
    return Section(
        look.dataset.name,
        look,
        counts(look),
        {why: pictures for why, pictures in by_why.items() if pictures},
        data_pictures.distributions(look),
        _remarks(look),
    )


def _remarks(look: Look) -> dict[str, list[str]]:
    """Return the warnings, by what they stand beside."""
    outside = len(look.dataset.outside)
    return {
        "set": list(look.dataset.notes),
        "examples": [f"{outside:,} of {look.dataset.rows_read:,} fixations lie outside their image: drawn in red."]
        * bool(outside),
        "distributions": list(look.implausible),
    }
