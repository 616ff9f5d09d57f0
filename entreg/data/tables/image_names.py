"""Which picture a table means: programs write its name with another extension, other capitals or other folders."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from entreg.errors import DataError


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/").strip()).casefold()


def _without_extension(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return stem if dot and stem and "/" not in extension else name


def _last(name: str) -> str:
    return name.rpartition("/")[2]


# from the strictest to the loosest; a name means the pictures that it shares the first of these with
FORMS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    _plain,
    lambda name: _without_extension(_plain(name)),
    lambda name: _last(_plain(name)),
    lambda name: _without_extension(_last(_plain(name))),
)


def match(names: Iterable[str], pictures: Collection[str], folder: Path, of: str = "the table") -> dict[str, str]:
    """Return the picture that each name means; names that mean none are left out.

    folder: that of the pictures, for messages; of: what the names stand in

    Case, the kind of slash, composed and decomposed letters (NFC, NFD), the extension and then the folders may differ.
    Raises a DataError where a name may mean several pictures, or where two names that differ in more than capitals,
    slashes and letters mean the same one.
    """
    indices: list[dict[str, list[str]]] = []
    for form in FORMS:
        index: dict[str, list[str]] = defaultdict(list)
        for picture in pictures:
            index[form(picture)].append(picture)
        indices.append(index)
    found: dict[str, str] = {}
    meant: dict[str, str] = {}
    for name in names:
        candidates = next(
            (index[form(name)] for form, index in zip(FORMS, indices, strict=True) if form(name) in index), []
        )
        if not candidates or not name.strip():
            continue
        if len(candidates) > 1:
            raise DataError(
                f"{folder}: the image {name!r} of {of} may be {candidates[0]!r} or {candidates[1]!r}; give {of} "
                "the names of the files"
            )
        other = meant.setdefault(candidates[0], name)
        if _plain(other) != _plain(name):
            raise DataError(
                f"{folder}: the images {other!r} and {name!r} of {of} are both like {candidates[0]!r}; give {of} "
                "the names of the files"
            )
        found[name] = candidates[0]
    return found
