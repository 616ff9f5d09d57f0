"""Published sets of stimuli with one map of fixated pixels for each (MIT1003, CAT2000 and many others).

The maps pool the observers, and two fixations on one pixel count once. An option in conf/data/ describes the layout
with patterns: `*` stands for any part of a name and, in the pattern of the maps, `{stem}` for a stimulus's name without
    its extension and `{folder}` for the folder that it lies in.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import numpy as np
from omegaconf import MISSING

from entreg.config import PublishedData
from entreg.config.settings import Rule, setting
from entreg.data import matlab
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.images import read_grey, size_of
from entreg.errors import DataError
from entreg.io.safe_paths import refuse_link_out, why_it_leads_out
from entreg.progress import Progress

NO_STIMULI = ("Output", "__MACOSX")  # folders of maps beside CAT2000's stimuli, and a folder that Macs add to archives


@dataclass
class Settings(PublishedData):
    """Patterns of the stimuli and of their maps, and how a map says which pixels were fixated."""

    archive: str | None = setting(
        None,
        "folder that the published archive unpacks to; root is that folder or its parent",
        affects="location",
    )
    stimuli: str = setting(MISSING, "pattern of the stimuli's paths; a folder `*` is the category", affects="result")
    maps: str = setting(MISSING, "pattern of the path of a stimulus's map, with {stem} and {folder}", affects="result")
    maps_are: str = setting(
        MISSING,
        "how maps mark fixated pixels; image: they are brighter than threshold; mat: they are not zero in the variable "
        "`key`",
        affects="result",
        one_of=("image", "mat"),
    )
    threshold: int = setting(
        127,
        "brightness above which a pixel is fixated; the ringing of JPEG around white dots is darker than the default",
        affects="result",
        at_least=0,
        at_most=254,
    )
    key: str | None = setting(None, "variable of a .mat file that holds the map", affects="result")

    def require(self) -> None:
        """Raise a DataError where a folder of the layout is missing."""
        for pattern in (self.stimuli, self.maps):
            folder = _fixed_folders(pattern)
            if not (self.root and (self.base / folder).is_dir()):
                raise _missing(
                    self, f"no folder {f'{self.archive}/{folder} or ' if self.archive else ''}{folder} there"
                )

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong with the patterns, and where a .mat file is given without the name of its variable."""
        yield from super().broken_rules()
        for name in ("archive", "stimuli", "maps"):
            why = None if getattr(self, name) is None else why_it_leads_out(getattr(self, name))
            if why is not None:
                yield name, why
        if self.maps_are == "mat" and self.key is None:
            yield "key", "a .mat file holds several variables, so the variable must be named"

    @property
    def base(self) -> Path:
        """The folder in which the patterns begin."""
        root = Path(self.root or "")
        return root / self.archive if self.archive and (root / self.archive).is_dir() else root


def load(settings: Settings) -> DataSet:
    """Return the stimuli in natural order of their names, with a fixation at the centre of each fixated pixel.

    Stimuli without a map are left out, and a copy with other counts than the published ones is used, both with a note.
    A .mat file has one of MATLAB's versions 4 to 7 and holds real, finite numbers, full or sparse.

    Raises a DataError where a folder is missing or holds none of the files, a file cannot be read, a map does not have
    the size of its stimulus, a link leads out of the folder, or no map has a pixel above the threshold.
    """
    settings.require()
    paths = _stimuli(settings)
    if not paths:
        raise _missing(settings, f"no file matches {settings.stimuli}")
    pairs = [(name, path, _map_of(settings, path)) for name, path in paths.items()]
    pairs = [(name, path, points) for name, path, points in pairs if points.is_file()]
    for _, path, points in pairs:
        refuse_link_out(path, settings.base / _fixed_folders(settings.stimuli))
        refuse_link_out(points, settings.base / _fixed_folders(settings.maps))
    if not pairs:
        raise _missing(settings, f"none of the stimuli has a map ({settings.maps})")

    def read(pair: tuple[str, Path, Path]) -> tuple[Stimulus, np.ndarray, np.ndarray]:
        return _read(settings, *pair)

    with ThreadPoolExecutor() as pool:
        contents = []
        with Progress(settings.name, len(pairs), "image") as progress:
            for content in pool.map(read, pairs):
                contents.append(content)
                progress.step()
    if settings.maps_are == "image" and not any(len(x) for _, x, _ in contents):
        raise _too_dark(settings, [points for _, _, points in pairs])
    stimuli = tuple(stimulus for stimulus, _, _ in contents)
    image = np.repeat(np.arange(len(stimuli)), [len(x) for _, x, _ in contents])
    x, y = (np.concatenate([content[axis] for content in contents]) for axis in (1, 2))
    fixations, outside = sorted_fixations(stimuli, image, x, y, None)
    notes = tuple(_notes(settings, len(paths), len(pairs), len(x)))
    return DataSet(
        settings.name, stimuli, fixations, {"outside the image": len(outside)}, notes, outside, from_maps=True
    )


def _stimuli(settings: Settings) -> dict[str, Path]:
    """Return the stimuli's paths by name, in natural order; a name is the path below the folders that all share."""
    *folders, file = PurePosixPath(settings.stimuli).parts
    parents = settings.base.glob("/".join(folders)) if folders else [settings.base]
    shared = settings.base / _fixed_folders(settings.stimuli)
    named = {
        path.relative_to(shared).as_posix(): path
        for parent in parents
        if parent.is_dir()
        for path in parent.iterdir()
        # extensions may be in upper or lower case
        if fnmatch(path.name.lower(), file.lower())
    }
    names = (name for name in named if not any(part.startswith(".") or part in NO_STIMULI for part in name.split("/")))
    return {name: named[name] for name in sorted(names, key=lambda name: (natural_order(name), name))}


def _map_of(settings: Settings, stimulus: Path) -> Path:
    stem, folder = stimulus.stem, stimulus.parent.name
    parts = PurePosixPath(settings.maps).parts
    return settings.base.joinpath(*(part.replace("{stem}", stem).replace("{folder}", folder) for part in parts))


def _fixed_folders(pattern: str) -> str:
    """Return the leading folders of a pattern, up to the first one that varies."""
    *folders, _ = PurePosixPath(pattern).parts
    varying = next((i for i, part in enumerate(folders) if "*" in part or "{" in part), len(folders))
    return "/".join(folders[:varying])


def _read(settings: Settings, name: str, picture: Path, points: Path) -> tuple[Stimulus, np.ndarray, np.ndarray]:
    height, width = size_of(picture)
    map_size = size_of(points) if settings.maps_are == "image" else matlab.size_of(points, settings.key or "")
    if map_size != (height, width):
        raise DataError(
            f"{points} has {map_size[1]} x {map_size[0]} pixels, its stimulus {picture} {width} x {height}: "
            "one of them is not the published file; get both again"
        )
    if settings.maps_are == "image":
        fixated = read_grey(points) > settings.threshold
    else:
        fixated = matlab.read(points, settings.key or "") != 0
    rows, columns = np.nonzero(fixated)
    category = picture.parent.name if "/" in name else None
    return Stimulus(name, picture, height, width, category), columns + 0.5, rows + 0.5


def _notes(settings: Settings, there: int, used: int, fixated: int) -> Iterator[str]:
    """Yield how this copy differs from the published set."""
    expected = settings.expected_images
    if used < there or expected is not None and there != expected:
        instead = "" if expected is None else f" instead of {expected}"
        without = (
            f"; {there - used} of them are left out, because they have no map ({settings.maps})" if used < there else ""
        )
        yield f"{settings.root} is not the published set: {there} stimuli{instead}{without}; {used} are used"
    elif settings.expected_fixations not in (None, fixated):
        yield (
            f"{settings.root} is not the published set: {fixated} fixated pixels "
            f"instead of {settings.expected_fixations}"
        )


def _too_dark(settings: Settings, maps: list[Path]) -> DataError:
    brightest = max(int(read_grey(path).max()) for path in maps)
    way_out = f"data.threshold={brightest // 2} (ood.{settings.name}.threshold where it is a foreign set) takes those"
    return DataError(
        f"{settings.name}: no pixel of the {len(maps)} maps ({settings.base / settings.maps}) is brighter than "
        f"threshold={settings.threshold}; the brightest are {brightest}."
        + (f"\n  {way_out} that are" if brightest else " They mark no fixation")
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
