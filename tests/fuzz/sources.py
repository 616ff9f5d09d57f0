"""A small valid copy of a data set for each loader. A new loader is one line of SOURCES."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import scipy.io
from PIL import Image, features

from entreg.config import Data
from entreg.data.sources import cat2000_observers, fixation_maps, folder, pysaliency, synthetic
from tests.data.sources.pysaliency_set import copied
from tests.data.sources.test_cat2000_observers import STORED, cell
from tests.data.sources.test_pysaliency import write_fixations, write_scanpaths

HEIGHT, WIDTH = 30, 40


@dataclass(frozen=True)
class Source:
    """One source of data.

    write: makes a valid copy in an empty folder; files: patterns of its files that are damaged; text: those of text
    """

    write: Callable[[Path], Data]
    load: Callable[[Any], Any]
    files: tuple[str, ...]
    text: tuple[str, ...] = ()


def picture(seed: int, *channels: int) -> Image.Image:
    """Smooth noise, which every format can hold."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, *channels), dtype=np.uint8)
    return Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)


def write_pictures(place: Path) -> None:
    """A picture of every kind that is read, and of some that are not."""
    place.mkdir(parents=True)
    rgb, grey = picture(0, 3), picture(1)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, image, more in [
        ("rgb.png", rgb, {}),
        ("grey.png", grey, {}),
        ("deep.png", deep, {}),
        ("palette.png", rgb.convert("P"), {}),
        ("clear.png", rgb.convert("RGBA"), {}),
        ("key.png", grey, {"transparency": 3}),
        ("bit.png", grey.convert("1"), {}),
        ("rgb.jpg", rgb, {}),
        ("grey.jpg", grey, {}),
        ("cmyk.jpg", rgb.convert("CMYK"), {}),
        ("progressive.jpg", rgb, {"progressive": True}),
        ("turned.jpg", rgb, {"exif": exif}),
        ("rgb.bmp", rgb, {}),
        ("rgb.ppm", rgb, {}),
        ("rgb.gif", rgb, {}),
        ("rgb.tif", rgb, {}),
        ("lzw.tif", rgb, {"compression": "tiff_lzw"}),
        ("deep.tif", deep, {"compression": "tiff_adobe_deflate"}),
        ("moving.gif", grey, {"save_all": True, "append_images": [rgb.convert("L")]}),
        ("rgb.webp", rgb, {}),
        ("rgb.jp2", rgb, {}),
    ]:
        needed = "libtiff" if "compression" in more else {".webp": "webp", ".jp2": "jpg_2000"}.get(Path(name).suffix)
        if needed is None or features.check(needed):
            image.save(place / name, **more)


def write_folder(place: Path) -> Data:
    """Three images and a table with every column."""
    (place / "stimuli").mkdir()
    for seed, name in enumerate(("a.png", "b.jpg", "c.bmp")):
        picture(seed, 3).save(place / "stimuli" / name)
    lines = [
        f"{name},S{subject},{order},{5 + 9 * order}.25,{7 + 3 * subject},0.2"
        for name in ("a.png", "b.jpg", "c.bmp")
        for subject in (1, 2)
        for order in range(3)
    ]
    (place / "fixations.csv").write_text("\n".join(["image,subject,order,x,y,duration_s", *lines, ""]))
    return folder.Settings(name="mine", root=str(place))


def write_maps(place: Path, suffix: str) -> Data:
    """Three images and their maps, as images or in MATLAB's format."""
    for name in ("stimuli/indoor", "maps/indoor"):
        (place / name).mkdir(parents=True)
    for seed, stem in enumerate("abc"):
        picture(seed, 3).save(place / f"stimuli/indoor/{stem}.png")
        fixated = np.zeros((HEIGHT, WIDTH), np.uint8)
        fixated.flat[np.random.default_rng(seed).choice(fixated.size, 12)] = 255
        if suffix == "mat":
            how: Any = {"a": {"do_compression": True}, "b": {"format": "4"}, "c": {}}[stem]
            content = {"title": "map", "fixLocs": fixated.astype(float)}
            scipy.io.savemat(place / f"maps/indoor/{stem}.mat", content, **how)
        else:
            Image.fromarray(fixated).save(place / f"maps/indoor/{stem}.{suffix}")
    return fixation_maps.Settings(
        name="maps",
        root=str(place),
        stimuli="stimuli/*/*.png",
        maps=f"maps/{{folder}}/{{stem}}.{suffix}",
        maps_are="mat" if suffix == "mat" else "image",
        key="fixLocs",
    )


def write_synthetic(place: Path) -> Data:
    """A drawn set; what is drawn is kept in its folder."""
    settings = synthetic.Settings(
        name="synthetic",
        root=str(place),
        images=4,
        observers=2,
        fixations_per_observer=3,
        long_side_px=40,
        short_side_px=32,
    )
    synthetic.load(settings)
    return settings


def write_pysaliency(stimuli: str, fixations: str, place: Path) -> Data:
    """Photos, and files that pysaliency wrote, or that are written as its newer versions do."""
    copied(place)
    write_scanpaths(place / "scanpaths.hdf5")
    write_fixations(place / "newer.hdf5", "1.2")
    return pysaliency.Settings(
        name="mine", root=str(place), stimuli=stimuli, fixations=fixations, unpacked=str(place / "unpacked")
    )


def of_pysaliency(stimuli: str, fixations: str) -> Source:
    """These two of its files."""
    return Source(
        functools.partial(write_pysaliency, stimuli, fixations),
        pysaliency.load,
        (stimuli, fixations, fixations) if stimuli == "stimuli.hdf5" else (stimuli,),
    )


def write_cat2000_observers(place: Path) -> Data:
    """CAT2000's stimuli and its file of observers, in the form that the stand-in below reads."""
    for seed, name in enumerate(name for name in STORED if "gone" not in name):
        path = place / "Stimuli" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed, 3).save(path)
    everybody = {name: {key: np.asarray(rows).tolist() for key, rows in one.items()} for name, one in STORED.items()}
    (place / "allFixData.mat").write_text(json.dumps({"allData": everybody}, indent=1))
    return cat2000_observers.Settings(name="cat2000", root=str(place))


def load_cat2000_observers(settings: Any) -> Any:
    """Read by a stand-in for mat-io, which is no package of the tests: JSON for what MATLAB keeps."""

    def as_matlab(node: Any) -> Any:
        is_cell = isinstance(node, dict) and all(isinstance(rows, list) for rows in node.values())
        return cell(node) if is_cell else np.array(node, dtype=object)

    def load_from_mat(path: str) -> dict[str, Any]:
        found = json.loads(Path(path).read_text())
        return {key: {name: as_matlab(one) for name, one in value.items()} for key, value in found.items()}

    module = ModuleType("matio")
    module.load_from_mat = load_from_mat  # type: ignore[attr-defined]
    with patch.dict(sys.modules, matio=module):
        return cat2000_observers.load(settings)


SOURCES = {
    "folder": Source(write_folder, folder.load, ("stimuli/*", "fixations.csv", "fixations.csv"), ("fixations.csv",)),
    "dots": Source(lambda place: write_maps(place, "jpg"), fixation_maps.load, ("stimuli/*/*", "maps/*/*", "maps/*/*")),
    "matlab": Source(lambda place: write_maps(place, "mat"), fixation_maps.load, ("maps/*/*",)),
    "synthetic": Source(write_synthetic, synthetic.load, ("*/set.npz", "*/set.npz", "*/*.png")),
    "pysaliency": of_pysaliency("stimuli.hdf5", "trains.hdf5"),
    "pysaliency-fixations": of_pysaliency("stimuli.hdf5", "fixations.hdf5"),
    "pysaliency-newer": of_pysaliency("stimuli.hdf5", "newer.hdf5"),
    "pysaliency-scanpaths": of_pysaliency("stimuli.hdf5", "scanpaths.hdf5"),
    "pysaliency-arrays": of_pysaliency("arrays.hdf5", "trains.hdf5"),
    "cat2000_observers": Source(
        write_cat2000_observers, load_cat2000_observers, ("allFixData.mat",), ("allFixData.mat",)
    ),
}
# of these the default suite tries fewer
RARER = ("pysaliency-fixations", "pysaliency-newer", "pysaliency-scanpaths", "pysaliency-arrays", "cat2000_observers")
