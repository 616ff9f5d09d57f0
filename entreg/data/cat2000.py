"""CAT2000's training set (Borji & Itti 2015): 20 categories of 100 images, 18 observers an image, 5 s each."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import scipy.io
from tqdm import tqdm

from entreg.config import Cat2000
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.image import size_of
from entreg.errors import DataError

IMAGES = 2000
SOURCE = "http://saliency.mit.edu/trainSet.zip"


def load(settings: Cat2000) -> DataSet:
    """Stimuli/<Category>/NNN.jpg and the pixels set in FIXATIONLOCS/<Category>/NNN.mat (fixLocs), at their centres.

    root is the folder that holds trainSet/, or trainSet itself. The maps pool the observers, and two fixations on one
    pixel are one. A partial copy is used, with a note.
    DataError: a folder is missing or holds none of the files, a file cannot be read, a map has not its stimulus's size.
    """
    root = Path(settings.root or "")
    if (root / "trainSet").is_dir():
        root = root / "trainSet"
    pictures, maps = root / "Stimuli", root / "FIXATIONLOCS"
    for folder in (pictures, maps):
        if not (settings.root and folder.is_dir()):
            raise _missing(settings, f"no folder trainSet/{folder.name} or {folder.name} there")
    # exactly one level of folders: the Output folders lie within the categories and hold no stimuli
    found = sorted((p for p in pictures.glob("*/*") if p.suffix.lower() == ".jpg" and _is_stimulus(p)),
                   key=lambda path: (natural_order(_name(path)), path))
    pairs = [(path, maps / path.parent.name / f"{path.stem}.mat") for path in found]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    if not found:
        raise _missing(settings, "no <Category>/NNN.jpg in Stimuli")
    if not pairs:
        raise _missing(settings, "none of the stimuli's maps (<Category>/NNN.mat) in FIXATIONLOCS")

    with ThreadPoolExecutor() as pool:
        read = list(tqdm(pool.map(_read, pairs), total=len(pairs), desc="CAT2000", leave=False, disable=None))
    stimuli = tuple(stimulus for stimulus, _, _ in read)
    image = np.repeat(np.arange(len(read)), [len(x) for _, x, _ in read])
    x, y = (np.concatenate([row[i] for row in read]) for i in (1, 2))
    fixations, outside = sorted_fixations(stimuli, image, x, y, None)
    notes = _notes(root, len(found), len(pairs))
    return DataSet(settings.name, stimuli, fixations, {"outside the image": outside}, notes)


def _is_stimulus(path: Path) -> bool:
    category = path.parent.name
    return not (path.name.startswith(".") or category.startswith(".") or category in ("Output", "__MACOSX"))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _read(pair: tuple[Path, Path]) -> tuple[Stimulus, np.ndarray, np.ndarray]:
    picture, locations = pair
    height, width = size_of(picture)
    try:
        fixated = scipy.io.loadmat(locations, variable_names=["fixLocs"])["fixLocs"]
    except KeyError:
        raise DataError(f"{locations} has no variable fixLocs") from None
    except Exception as error:  # a damaged file raises whatever scipy's reader stumbles over
        raise DataError(f"{locations} cannot be read as a MATLAB file: {error}") from error
    if fixated.shape != (height, width):
        raise DataError(
            f"fixLocs in {locations} is {' x '.join(map(str, fixated.shape[::-1]))}, its stimulus {picture} has "
            f"{width} x {height} pixels: one of them is not the published file"
        )
    rows, columns = np.nonzero(fixated)
    return Stimulus(_name(picture), picture, height, width, picture.parent.name), columns + 0.5, rows + 0.5


def _notes(root: Path, found: int, used: int) -> tuple[str, ...]:
    if found == used == IMAGES:
        return ()
    without = f"; {found - used} of them left out, since FIXATIONLOCS has no map of theirs" if used < found else ""
    return (f"{root} is not the published CAT2000: {found} stimuli instead of {IMAGES}{without}; {used} are used",)


def _missing(settings: Cat2000, what: str) -> DataError:
    return DataError(
        f"CAT2000 is not at {settings.root}: {what}.\n"
        "  have it elsewhere   data.root=PATH (ood.root=PATH where it is the out-of-domain set)\n"
        f"  do not have it      unpack {SOURCE} there\n"
        "  just want to look   data=synthetic needs none (data@ood=synthetic_ood out of domain)"
    )
