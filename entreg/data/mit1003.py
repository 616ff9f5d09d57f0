"""MIT1003 (Judd, Ehinger, Durand & Torralba, ICCV 2009): 1003 photos, 15 observers, 3 s of free viewing."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from entreg.config import Mit1003
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.image import read_grey, size_of
from entreg.errors import DataError

IMAGES = 1003
SOURCE = "http://people.csail.mit.edu/tjudd/WherePeopleLook/"


def load(settings: Mit1003) -> DataSet:
    """Stimuli of ALLSTIMULI/ and the dots of ALLFIXATIONMAPS/<stem>_fixPts.jpg, at their pixels' centres.

    The maps pool the observers, and two fixations on one pixel are one dot. A partial copy is used, with a note.
    DataError: a folder is missing or holds none of the files, a file cannot be read, a map has not its stimulus's size.
    """
    root = Path(settings.root or "")
    pictures, maps = root / "ALLSTIMULI", root / "ALLFIXATIONMAPS"
    for folder in (pictures, maps):
        if not (settings.root and folder.is_dir()):
            raise _missing(settings, f"no folder {folder.name} there")
    found = sorted((p for p in pictures.iterdir() if p.suffix.lower() == ".jpeg" and not p.name.startswith(".")),
                   key=lambda path: (natural_order(path.name), path.name))
    pairs = [(path, maps / f"{path.stem}_fixPts.jpg") for path in found]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    if not found:
        raise _missing(settings, "no .jpeg in ALLSTIMULI")
    if not pairs:
        raise _missing(settings, "none of the stimuli's maps (<stem>_fixPts.jpg) in ALLFIXATIONMAPS")

    with ThreadPoolExecutor() as pool:
        read = list(tqdm(pool.map(_read, pairs), total=len(pairs), desc="MIT1003", leave=False, disable=None))
    stimuli = tuple(stimulus for stimulus, _, _ in read)
    image = np.repeat(np.arange(len(read)), [len(x) for _, x, _ in read])
    x, y = (np.concatenate([row[i] for row in read]) for i in (1, 2))
    fixations, outside = sorted_fixations(stimuli, image, x, y, None)
    notes = _notes(root, len(found), len(pairs))
    return DataSet(settings.name, stimuli, fixations, {"outside the image": outside}, notes)


def _read(pair: tuple[Path, Path]) -> tuple[Stimulus, np.ndarray, np.ndarray]:
    picture, points = pair
    height, width = size_of(picture)
    dots = read_grey(points)
    if dots.shape != (height, width):
        raise DataError(
            f"{points} has {dots.shape[1]} x {dots.shape[0]} pixels, its stimulus {picture} {width} x {height}: "
            "one of them is not the published file"
        )
    rows, columns = np.nonzero(dots > 127)  # JPEG leaves ringing round each white dot, all of it darker than that
    return Stimulus(picture.name, picture, height, width), columns + 0.5, rows + 0.5


def _notes(root: Path, found: int, used: int) -> tuple[str, ...]:
    if found == used == IMAGES:
        return ()
    without = f"; {found - used} of them left out, since ALLFIXATIONMAPS has no map of theirs" if used < found else ""
    return (f"{root} is not the published MIT1003: {found} stimuli instead of {IMAGES}{without}; {used} are used",)


def _missing(settings: Mit1003, what: str) -> DataError:
    return DataError(
        f"MIT1003 is not at {settings.root}: {what}.\n"
        "  have it elsewhere   data.root=PATH (ood.root=PATH where it is the out-of-domain set)\n"
        f"  do not have it      unpack {SOURCE}ALLSTIMULI.zip and ALLFIXATIONMAPS.zip (same address) there\n"
        "  just want to look   data=synthetic needs none (data@ood=synthetic_ood out of domain)"
    )
