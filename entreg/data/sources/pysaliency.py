"""Data sets in pysaliency's format: stimuli and fixations in HDF5 files.

Source: pysaliency/datasets.py of its release 0.2.22 and pysaliency/datasets/ of its repository (matthias-k/pysaliency).
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from entreg.config import Data
from entreg.config.settings import setting
from entreg.data.dataset import DataSet, Stimulus, natural_order, sorted_fixations
from entreg.data.images import eight_bit_as_in_files, size_of
from entreg.errors import DataError, SettingError
from entreg.io import digests, files
from entreg.io.hdf5 import Reader
from entreg.io.leases import make_once

UNPACKED = 2  # the version of the unpacked stimuli; raise it when they change
SUMS = "SHA256SUMS"


@dataclass
class Settings(Data):
    """Stimuli and fixations in pysaliency's format in the folder `root`."""

    stimuli: str = setting("stimuli.hdf5", "file of the stimuli below root: FileStimuli or Stimuli", affects="result")
    fixations: str = setting(
        "fixations.hdf5",
        "file of the fixations below root: Fixations, FixationTrains or ScanpathFixations",
        affects="result",
    )
    drop_first: bool = setting(False, "leave out the first fixation of each scanpath", affects="result")
    unpacked: str | None = setting(
        None, "folder that stimuli inside an HDF5 file are unpacked to", affects="location", path=True
    )

    def require(self) -> None:
        """Raise a DataError where one of the files is missing."""
        for name in (self.stimuli, self.fixations):
            if not (self.root and (Path(self.root) / name).is_file()):
                place = self.root or "any place (root is not set)"
                raise DataError(
                    f"The data set {self.name} is not at {place}: no {name} there.\n"
                    "  have it elsewhere   data.root=PATH (ood.NAME.root=PATH where it is out of domain)\n"
                    "  other names         data.stimuli=FILE data.fixations=FILE, below root\n"
                    "  just want to look   data=synthetic needs none"
                )


@dataclass(frozen=True)
class Gaze:
    """Fixations as they are stored, (n,) each.

    order: the position in the scanpath, from 0
    subject: None where it is unknown
    """

    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    subject: np.ndarray | None


def load(settings: Settings) -> DataSet:
    """Return the stimuli in natural order of their names, and their fixations. Stimuli without fixations are kept.

    Raises a DataError of one line that names the file and the key that is missing, malformed, or leads out of `root`.
    """
    settings.require()
    root = Path(settings.root or "")
    with Reader(root / settings.stimuli) as file:
        paths = _stimuli(file, settings)
    with Reader(root / settings.fixations) as file:
        gaze = _gaze(file)
        if len(gaze.image) and not (gaze.image.min() >= 0 and gaze.image.max() < len(paths)):
            raise file.wrong("n", f"it names stimulus {gaze.image.max()} or {gaze.image.min()} of {len(paths)}")
    names = sorted(paths, key=lambda name: (natural_order(name), name))
    stimuli = tuple(_stimulus(name, *paths[name]) for name in names)
    # of each number in the file the position in natural order
    position = np.array([names.index(name) for name in paths])
    dropped: dict[str, int] = {}
    used = np.ones(len(gaze.image), dtype=bool)
    if settings.drop_first:
        used = gaze.order > 0
        dropped["first of a scanpath"] = int((~used).sum())
    subject = None if gaze.subject is None else np.unique(gaze.subject, return_inverse=True)[1][used]
    fixations, outside = sorted_fixations(stimuli, position[gaze.image[used]], gaze.x[used], gaze.y[used], subject)
    dropped["outside the image"] = len(outside)
    return DataSet(settings.name, stimuli, fixations, dropped, outside=outside)


def _stimulus(name: str, path: Path, shape: tuple[int, int]) -> Stimulus:
    height, width = size_of(path)
    if (height, width) != shape:
        raise DataError(
            f"{path} has {width} x {height} pixels, its data set says {shape[1]} x {shape[0]}; "
            "put the image there that people saw"
        )
    return Stimulus(name, path, height, width, PurePosixPath(name).parent.name or None)


def _stimuli(file: Reader, settings: Settings) -> dict[str, tuple[Path, tuple[int, int]]]:
    """Return each stimulus's path and (height, width) by name, in the order of the file."""
    kind = file.of_kind({"FileStimuli": ("1.0", "2.0", "2.1"), "Stimuli": ("1.0", "1.1")})
    return _files(file, settings) if kind == "FileStimuli" else _unpacked(file, settings)


def _files(file: Reader, settings: Settings) -> dict[str, tuple[Path, tuple[int, int]]]:
    root = Path(os.path.abspath(settings.root or ""))  # noqa: PTH100  # keeps links
    names, shapes = file.texts("filenames"), file.rows("shapes")
    if len(names) != len(shapes) or not names or any(len(shape) < 2 for shape in shapes):
        raise file.wrong("shapes", f"it holds {len(shapes)} sizes for {len(names)} filenames")
    # absolute paths, which version 1.0 stores, stay as they are
    folder = file.path.parent.absolute()
    paths = [Path(os.path.normpath(folder / name)) for name in names]
    for name, path in zip(names, paths, strict=True):
        if not path.is_relative_to(root):
            raise file.wrong("filenames", f"{name!r} leads out of {root}; data.root=FOLDER may be one above both")
    if len(set(paths)) < len(paths):
        raise file.wrong("filenames", f"{next(name for name in names if names.count(name) > 1)!r} occurs twice")
    shared = os.path.commonpath([path.parent for path in paths])
    return {
        path.relative_to(shared).as_posix(): (path, (int(shape[0]), int(shape[1])))
        for path, shape in zip(paths, shapes, strict=True)
    }


def _unpacked(file: Reader, settings: Settings) -> dict[str, tuple[Path, tuple[int, int]]]:
    """Write each stimulus to its own file, once, and return the paths as `_stimuli` does."""
    if settings.unpacked is None:
        raise SettingError(f"{file.path} holds the stimuli themselves: data.unpacked=FOLDER is needed to unpack them")
    names = [f"{n:06d}.png" for n in range(file.count("size"))]
    digest = hashlib.sha256(f"{digests.sha256(file.path)} {UNPACKED}".encode()).hexdigest()[:20]
    folder = Path(settings.unpacked) / digest
    partial = folder.with_name(f"{folder.name}.partial")

    def make() -> None:
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        partial.mkdir(parents=True)
        for n, name in enumerate(names):
            picture = Image.fromarray(eight_bit_as_in_files(file.picture(str(n))))
            files.write(partial / name, functools.partial(picture.save, format="PNG"))
        files.write_text(partial / SUMS, _sums(partial, names))
        partial.replace(folder)

    try:
        make_once(folder, make)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}; data.unpacked=FOLDER") from error
    try:
        is_whole = (folder / SUMS).read_text(encoding="utf-8", errors="replace") == _sums(folder, names)
    except OSError:
        is_whole = False
    if not is_whole:
        raise DataError(f"{folder}: the unpacked stimuli are damaged; remove it, and the next run unpacks them again")
    return {name: (folder / name, size_of(folder / name)) for name in names}


def _sums(folder: Path, names: list[str]) -> str:
    """Return the hashes of the files in a folder, in sha256sum's format."""
    return "".join(f"{digests.sha256(folder / name)}  {name}\n" for name in names)


def _gaze(file: Reader) -> Gaze:
    readers: dict[str, tuple[tuple[str, ...], Callable[[Reader], Gaze]]] = {
        "Fixations": (("1.0", "1.1", "1.2"), _of_fixations),
        "FixationTrains": (("1.0", "1.1", "1.2", "1.3"), _of_trains),
        "ScanpathFixations": (("1.0",), _of_scanpaths),
    }
    kind = file.of_kind({name: versions for name, (versions, _) in readers.items()})
    gaze = readers[kind][1](file)
    if (
        gaze.subject is not None and len(np.unique(gaze.subject)) < 2
    ):  # pysaliency fills unknown subjects with one value
        gaze = Gaze(gaze.image, gaze.x, gaze.y, gaze.order, None)
    return gaze


def _of_fixations(file: Reader) -> Gaze:
    image, x, y = file.integers("n"), file.numbers("x"), file.numbers("y")
    # the number of fixations before each one
    order = file.integers("lengths") if "lengths" in file else (~np.isnan(file.numbers("x_hist", 2))).sum(1)
    key = "subject" if "subject" in file else "subjects"
    subject = file.plain(key) if key in file else None
    for name, values in (("x", x), ("y", y), ("x_hist", order), (key, subject)):
        if values is not None and len(values) != len(image):
            raise file.wrong(name, f"it holds {len(values)} values for {len(image)} fixations")
    return Gaze(image, x, y, order, subject)


def _of_trains(file: Reader) -> Gaze:
    lengths = file.integers("train_lengths") if "train_lengths" in file else None
    subject = file.plain("train_subjects") if "train_subjects" in file else None
    return _of_padded(file, "train_xs", "train_ys", "train_ns", lengths, subject)


def _of_scanpaths(file: Reader) -> Gaze:
    with file.below("scanpaths") as paths:
        paths.of_kind({"Scanpaths": ("1.0",)})
        # the repository has called it both
        lengths = paths.integers("length" if "length" in paths else "lengths")
        with paths.below("scanpath_attributes") as attributes:
            subject = attributes.plain("subject") if "subject" in attributes else None
        return _of_padded(paths, "xs", "ys", "n", lengths, subject)


def _of_padded(
    file: Reader, key_x: str, key_y: str, key_n: str, lengths: np.ndarray | None, subject: np.ndarray | None
) -> Gaze:
    """Return the fixations of scanpaths that are stored as rows padded with NaN."""
    xs, ys, n = file.numbers(key_x, 2), file.numbers(key_y, 2), file.integers(key_n)
    if lengths is None:
        lengths = (~np.isnan(xs)).sum(1)
    if xs.shape != ys.shape or not len(xs) == len(n) == len(lengths) == len(n if subject is None else subject):
        raise file.wrong(key_x, f"{len(xs)} scanpaths, but another number in {key_y}, {key_n}, lengths or subjects")
    if len(lengths) and not (lengths.min() >= 0 and lengths.max() <= xs.shape[1]):
        raise file.wrong(key_x, f"scanpaths of {lengths.max()} fixations in rows of {xs.shape[1]}")
    path, order = np.nonzero(np.arange(xs.shape[1]) < lengths[:, None])
    return Gaze(n[path], xs[path, order], ys[path, order], order, None if subject is None else subject[path])
