"""Published sets that come as stimuli and, for each, one map of its fixated pixels (MIT1003, CAT2000 and many others).

The maps pool the observers, and two fixations on one pixel are one. An option of conf/data/ describes the layout; for
its patterns `*` stands for any part of a name and, in the maps' pattern, `{stem}` for a stimulus's name without its
extension and `{folder}` for the folder that it lies in.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import numpy as np
from omegaconf import MISSING

from entreg.config import PublishedData, Rule
from entreg.data import matlab
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.images import read_grey, size_of
from entreg.data.names import refuse_link_out, why_it_leads_out
from entreg.errors import DataError
from entreg.progress import Progress
from entreg.settings import setting

NO_STIMULI = ("Output", "__MACOSX")  # folders of maps beside CAT2000's stimuli, and what archives of a Mac carry along


@dataclass
class Settings(PublishedData):
    """Patterns of the stimuli and of their maps, and how a map says which pixels were fixated."""

    archive: str | None = setting(
        None,
        "folder that the published archive unpacks to; root is that folder, or the one that holds it",
        changes="place",
    )
    stimuli: str = setting(MISSING, "pattern of the stimuli's paths; a folder `*` is the category", changes="result")
    maps: str = setting(MISSING, "pattern of a stimulus's map, with {stem} and {folder}", changes="result")
    maps_are: str = setting(
        MISSING,
        "image: fixated pixels are brighter than threshold; mat: the non-zero pixels of the variable `key`",
        changes="result",
        one_of=("image", "mat"),
    )
    threshold: int = setting(
        127,
        "JPEG leaves ringing around each white dot, all of it darker than this",
        changes="result",
        at_least=0,
        at_most=254,
    )
    key: str | None = setting(None, "variable of a .mat that holds the map", changes="result")

    def require(self) -> None:
        """DataError where a folder of the layout is missing."""
        for pattern in (self.stimuli, self.maps):
            place = _fixed_part(pattern)
            if not (self.root and (self.base / place).is_dir()):
                raise _missing(self, f"no folder {f'{self.archive}/{place} or ' if self.archive else ''}{place} there")

    def broken_rules(self) -> Iterator[Rule]:
        """A .mat needs the name of its variable; patterns stay below the data set's folder."""
        yield from super().broken_rules()
        for name in ("archive", "stimuli", "maps"):
            why = None if getattr(self, name) is None else why_it_leads_out(getattr(self, name))
            if why is not None:
                yield name, why
        if self.maps_are == "mat" and self.key is None:
            yield "key", "a .mat holds several variables, so its name must be given"

    @property
    def base(self) -> Path:
        """The folder that the patterns start from."""
        root = Path(self.root or "")
        return root / self.archive if self.archive and (root / self.archive).is_dir() else root


def load(settings: Settings) -> DataSet:
    """The stimuli in natural order of their names, and their fixated pixels, at the pixels' centres.

    Stimuli without a map are left out, and a copy that does not have the published counts is used, both with a note.
    A .mat is one of MATLAB's versions 4 to 7 and holds real, finite numbers, full or sparse.
    DataError: a folder is missing or holds none of the files, a file cannot be read, a map has not its stimulus's size,
    a link leads out of the folder.
    """
    settings.require()
    paths = _stimuli(settings)
    if not paths:
        raise _missing(settings, f"nothing like {settings.stimuli}")
    pairs = [(name, path, _map_of(settings, path)) for name, path in paths.items()]
    pairs = [(name, path, points) for name, path, points in pairs if points.is_file()]
    for _, path, points in pairs:
        refuse_link_out(path, settings.base / _fixed_part(settings.stimuli))
        refuse_link_out(points, settings.base / _fixed_part(settings.maps))
    if not pairs:
        raise _missing(settings, f"none of the stimuli's maps ({settings.maps})")

    def read(pair: tuple[str, Path, Path]) -> tuple[Stimulus, np.ndarray, np.ndarray]:
        return _read(settings, *pair)

    with ThreadPoolExecutor() as pool:
        read_pairs = []
        with Progress(settings.name, len(pairs), "image") as progress:
            for pair in pool.map(read, pairs):
                read_pairs.append(pair)
                progress.step()
    stimuli = tuple(stimulus for stimulus, _, _ in read_pairs)
    image = np.repeat(np.arange(len(stimuli)), [len(x) for _, x, _ in read_pairs])
    x, y = (np.concatenate([one[axis] for one in read_pairs]) for axis in (1, 2))
    fixations, outside = sorted_fixations(stimuli, image, x, y, None)
    notes = tuple(_notes(settings, len(paths), len(pairs), len(x)))
    return DataSet(settings.name, stimuli, fixations, {"outside the image": outside}, notes)


def _stimuli(settings: Settings) -> dict[str, Path]:
    """Paths by name, in natural order; the name of a stimulus is its path below the folders that all share."""
    *folders, file = PurePosixPath(settings.stimuli).parts
    places = settings.base.glob("/".join(folders)) if folders else [settings.base]
    below = settings.base / _fixed_part(settings.stimuli)
    named = {
        path.relative_to(below).as_posix(): path
        for place in places
        if place.is_dir()
        for path in place.iterdir()
        # extensions are written in either case
        if fnmatch(path.name.lower(), file.lower())
    }
    names = (name for name in named if not any(part.startswith(".") or part in NO_STIMULI for part in name.split("/")))
    return {name: named[name] for name in sorted(names, key=lambda name: (natural_order(name), name))}


def _map_of(settings: Settings, stimulus: Path) -> Path:
    names = {"{stem}": stimulus.stem, "{folder}": stimulus.parent.name}
    parts = []
    for part in PurePosixPath(settings.maps).parts:
        for placeholder, name in names.items():
            part = part.replace(placeholder, name)
        parts.append(part)
    return settings.base.joinpath(*parts)


def _fixed_part(pattern: str) -> str:
    """The leading folders of a pattern, up to the first one that varies."""
    *folders, _ = PurePosixPath(pattern).parts
    varying = next((i for i, part in enumerate(folders) if "*" in part or "{" in part), len(folders))
    return "/".join(folders[:varying])


def _read(settings: Settings, name: str, picture: Path, points: Path) -> tuple[Stimulus, np.ndarray, np.ndarray]:
    height, width = size_of(picture)
    found = size_of(points) if settings.maps_are == "image" else matlab.size_of(points, settings.key or "")
    if found != (height, width):
        raise DataError(
            f"{points} has {found[1]} x {found[0]} pixels, its stimulus {picture} {width} x {height}: "
            "one of them is not the published file; get both anew"
        )
    if settings.maps_are == "image":
        fixated = read_grey(points) > settings.threshold
    else:
        fixated = matlab.read(points, settings.key or "") != 0
    rows, columns = np.nonzero(fixated)
    category = picture.parent.name if "/" in name else None
    return Stimulus(name, picture, height, width, category), columns + 0.5, rows + 0.5


def _notes(settings: Settings, there: int, used: int, fixated: int) -> Iterator[str]:
    """What sets this copy apart from the published set."""
    expected = settings.expected_images
    if used < there or expected is not None and there != expected:
        instead = "" if expected is None else f" instead of {expected}"
        without = f"; {there - used} of them left out, since they have no map ({settings.maps})" if used < there else ""
        yield f"{settings.root} is not the published set: {there} stimuli{instead}{without}; {used} are used"
    elif settings.expected_fixations not in (None, fixated):
        yield (
            f"{settings.root} is not the published set: {fixated} fixated pixels "
            f"instead of {settings.expected_fixations}"
        )


def _missing(settings: Settings, what: str) -> DataError:
    where = settings.published_at or "see the top of its file in conf/data/"
    by_command = "task=prepare downloads it; by hand: " if settings.downloads else ""
    return DataError(
        f"The data set {settings.name} is not at {settings.root}: {what}.\n"
        f"  have it elsewhere   data.root=PATH (ood.{settings.name}.root=PATH where it is a foreign set)\n"
        f"  do not have it      {by_command}unpack it there: {where}\n"
        "  just want to look   data=synthetic needs none (ood=[synthetic_ood] as the foreign set)"
    )
