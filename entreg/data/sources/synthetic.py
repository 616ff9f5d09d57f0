"""Synthetic data: images drawn with a seed, and fixations sampled from a log density that is known exactly.

    p(pixel) = bias_share * Gaussian bias + object_share * mean of the objects' Gaussians + the rest * uniform

Each term is normalised over the pixels, so the information gain of the best possible model is known.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from entreg.config import Data
from entreg.config.settings import Rule, setting
from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.errors import DataError, SettingError, brief
from entreg.io.leases import make_once

VERSION = 1  # of the drawn sets; raise it with any change of the drawing code, so that earlier sets are not reused
KINDS = ("disc", "rectangle", "ring")
ARRAYS = ("sizes", "objects", "object_image", "image", "x", "y", "subject")  # of a set
FORMING = (
    "images",
    "seed",
    "observers",
    "fixations_per_observer",
    "bias_x",
    "bias_y",
    "bias_sigma",
    "bias_share",
    "object_share",
    "long_side_px",
    "short_side_px",
)


DRAWN = re.compile(r"\.?[0-9a-f]{16}\b")  # what `_drawn` writes below root


@dataclass
class Settings(Data):
    """Images drawn with a seed, with a known fixation density, saved in the folder `root`."""

    embedded = True

    images: int = setting(120, "number of images to draw", affects="result", at_least=4)
    seed: int = setting(1, "seed of images and fixations, independent of the run's seed", affects="result", at_least=0)
    observers: int = setting(15, "number of observers", affects="result", at_least=1)
    fixations_per_observer: int = setting(
        6, "number of fixations of each observer on each image", affects="result", at_least=1
    )
    bias_x: float = setting(
        0.5, "centre of the observers' spatial bias, share of the width", affects="result", at_least=0, at_most=1
    )
    bias_y: float = setting(
        0.5, "centre of the observers' spatial bias, share of the height", affects="result", at_least=0, at_most=1
    )
    bias_sigma: float = setting(0.18, "spread of that bias, share of each side", affects="result", at_least=0.001)
    bias_share: float = setting(
        0.35, "share of fixations that follow the bias", affects="result", at_least=0, at_most=1
    )
    object_share: float = setting(
        0.55, "share of fixations on objects; the rest is uniform", affects="result", at_least=0, at_most=1
    )

    def require(self) -> None:
        """Raise a SettingError where there is no folder to draw into, or one that holds something else."""
        if self.root is None:
            raise SettingError(
                f"{self.name}: no folder to draw the images into: data.root=PATH "
                f"(ood.{self.name}.root=PATH where it is a foreign set)"
            )
        other = next((path.name for path in sorted(Path(self.root).glob("*")) if not DRAWN.match(path.name)), None)
        if other is not None:
            raise SettingError(
                f"{self.name}: {self.root} holds {other}, and images are drawn into a folder of their own. Data of "
                f"your own are read by data=folder data.root={self.root}"
            )

    def true_log_density(self, index: int) -> np.ndarray:
        """Return the log density that the fixations on image `index` were drawn from: (H, W) nats, float64."""
        drawn = _read(_drawn(self))
        height, width = drawn["sizes"][index].tolist()
        objects = drawn["objects"][drawn["object_image"] == index]
        with np.errstate(divide="ignore"):  # without a uniform share, the density of far pixels may underflow to 0
            log_density: np.ndarray = np.log(_density(self, height, width, objects))
        return log_density

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong where the shares exceed 1."""
        yield from super().broken_rules()
        if self.bias_share + self.object_share > 1:
            yield "bias_share", f"with object_share={self.object_share} at most 1"


@dataclass(frozen=True)
class Object:
    """A drawn object: its centre and half extent in pixels, and its kind, one of KINDS."""

    x: float
    y: float
    half_width: float
    half_height: float
    kind: str


def load(settings: Settings) -> DataSet:
    """Return the data set of these settings. It is drawn on first use and afterwards read from settings.root.

    Raises a DataError where settings.root cannot be written to, and a SettingError where it is not set.
    """
    folder = _drawn(settings)
    drawn = _read(folder)
    _check_images(folder, drawn)
    sizes = drawn["sizes"].tolist()
    fixations = Fixations(drawn["image"], drawn["x"], drawn["y"], drawn["subject"])
    stimuli = tuple(Stimulus(_name(i), folder / _name(i), height, width) for i, (height, width) in enumerate(sizes))
    return DataSet(settings.name, stimuli, fixations, dropped={})


def _density(settings: Settings, height: int, width: int, objects: np.ndarray) -> np.ndarray:
    """Return the mixture density (H, W); objects: (n, 4) centre x, centre y, half width, half height in pixels."""
    bias = _gaussian(
        height,
        width,
        settings.bias_x * width,
        settings.bias_y * height,
        settings.bias_sigma * width,
        settings.bias_sigma * height,
    )
    salience = np.mean([_gaussian(height, width, x, y, 0.7 * a, 0.7 * b) for x, y, a, b in objects], axis=0)
    uniform = (1 - settings.bias_share - settings.object_share) / (height * width)
    density: np.ndarray = settings.bias_share * bias + settings.object_share * salience + uniform
    return density


def _gaussian(height: int, width: int, x: float, y: float, sigma_x: float, sigma_y: float) -> np.ndarray:
    """Return a Gaussian (H, W) at the pixel centres. It sums to 1, because its rows and its columns do."""

    def along(n: int, centre: float, sigma: float) -> np.ndarray:
        exponent = -0.5 * ((np.arange(n) + 0.5 - centre) / sigma) ** 2
        weight: np.ndarray = np.exp(
            exponent - exponent.max()
        )  # with a sigma far below a pixel all would underflow otherwise
        weight /= weight.sum()
        return weight

    return np.outer(along(height, y, sigma_y), along(width, x, sigma_x))


def _drawn(settings: Settings) -> Path:
    """Return the folder of the set, which is drawn if it is missing. The folder appears only when it is complete."""
    settings.require()
    folder = Path(settings.root or "") / _fingerprint(settings)
    partial = folder.with_name(f"{folder.name}.partial")

    def make() -> None:
        shutil.rmtree(partial, ignore_errors=True)  # a killed process may have left it
        partial.mkdir()
        _draw(settings, partial)
        partial.replace(folder)

    try:
        make_once(folder, make)
    except (OSError, DataError) as error:
        raise DataError(
            f"cannot draw synthetic images into {folder}: {error}. paths.store=PATH chooses another folder"
        ) from error
    return folder


def _read(folder: Path) -> dict[str, np.ndarray]:
    path = folder / "set.npz"
    try:
        with np.load(path) as file:
            drawn = {name: file[name] for name in file}
        lengths = {name: len(drawn[name]) for name in ARRAYS}
        images, fixations = lengths["sizes"], lengths["image"]
        if drawn["sizes"].shape != (images, 2) or drawn["objects"].shape != (lengths["object_image"], 4):
            raise ValueError("its arrays have other shapes")
        if any(drawn[name].shape != (fixations,) for name in ("image", "x", "y", "subject")):
            raise ValueError("its columns differ in length")
        if any(drawn[name].dtype.kind not in ("f" if name in ("objects", "x", "y") else "iu") for name in ARRAYS):
            raise ValueError("its arrays have other types")
        plausible = all(np.isfinite(drawn[name]).all() and drawn[name].min() >= 0 for name in ARRAYS)
        if not plausible or not drawn["sizes"].all():
            raise ValueError("its values are not those of a set")
        if max(drawn[name].max() for name in ("image", "object_image")) >= images:
            raise ValueError("it lacks images")
        checksums = drawn["checksums"]
        if checksums.shape != (images,) or checksums.dtype.kind not in "iu":
            raise ValueError("its checksums are invalid")
        return drawn
    except Exception as error:  # numpy's reader raises errors of many kinds for a damaged file
        raise DataError(
            f"{path}: damaged ({brief(error)}); remove the folder {folder}, the next run draws it again"
        ) from error


def _check_images(folder: Path, drawn: dict[str, np.ndarray]) -> None:
    """Raise a DataError where an image is missing or its checksum is wrong.

    A reader of PNG files misses one of ten flipped bits.
    """
    for i, checksum in enumerate(drawn["checksums"]):
        path = folder / _name(i)
        if not path.is_file() or zlib.crc32(path.read_bytes()) != checksum:
            raise DataError(f"{path}: missing or damaged; remove the folder {folder}, the next run draws it again")


def _fingerprint(settings: Settings) -> str:
    values = {name: getattr(settings, name) for name in FORMING} | {"version": VERSION}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _name(index: int) -> str:
    return f"{index:04d}.png"


def _draw(settings: Settings, folder: Path) -> None:
    rng = np.random.Generator(np.random.PCG64(settings.seed))
    sizes, objects, object_image, xs, ys, checksums = [], [], [], [], [], []
    for i in range(settings.images):
        height, width = settings.short_side_px, settings.long_side_px
        if i % 5 == 4:
            height, width = width, height
        scene = _scene(rng, height, width)
        # the file is written here, because OpenCV may not report a full disk
        _, encoded = cv2.imencode(".png", _picture(rng, height, width, scene)[..., ::-1])
        (folder / _name(i)).write_bytes(encoded.tobytes())
        checksums.append(zlib.crc32(encoded.tobytes()))
        extents = np.array([(o.x, o.y, o.half_width, o.half_height) for o in scene])
        x, y = _sample(
            rng, _density(settings, height, width, extents), settings.observers * settings.fixations_per_observer
        )
        sizes.append((height, width))
        objects.append(extents)
        object_image.append(np.full(len(scene), i))
        xs.append(x)
        ys.append(y)
    subject = np.repeat(np.arange(settings.observers), settings.fixations_per_observer)
    drawn = io.BytesIO()
    np.savez(
        drawn,
        sizes=np.array(sizes),
        objects=np.concatenate(objects),
        object_image=np.concatenate(object_image),
        image=np.repeat(np.arange(settings.images), len(subject)),
        x=np.concatenate(xs),
        y=np.concatenate(ys),
        subject=np.tile(subject, settings.images),
        checksums=np.array(checksums, dtype=np.uint32),
    )
    (folder / "set.npz").write_bytes(drawn.getbuffer())


def _sample(rng: np.random.Generator, density: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw n points (x, y) from the density: a pixel for each, and a uniform position within it."""
    cumulated = np.cumsum(density)
    pixel = np.searchsorted(cumulated, rng.random(n) * cumulated[-1], side="right")
    row, column = np.unravel_index(pixel, density.shape)
    within = rng.random((2, n), dtype=np.float32)  # below 1 by 2^-24, so that floor() gives the pixel back
    return column + within[0].astype(np.float64), row + within[1].astype(np.float64)


def _scene(rng: np.random.Generator, height: int, width: int) -> list[Object]:
    """Draw 1 to 4 objects at random positions, entirely inside the image and apart from each other."""
    short = min(height, width)
    objects: list[Object] = []
    for _ in range(rng.integers(1, 5)):
        half_width, half_height = rng.uniform(0.06, 0.13, 2) * short
        kind = KINDS[rng.integers(len(KINDS))]
        if kind != "rectangle":
            half_height = half_width
        for _ in range(20):  # attempts; a full image gets fewer objects
            x, y = rng.uniform(half_width, width - half_width), rng.uniform(half_height, height - half_height)
            if all(
                abs(x - o.x) > half_width + o.half_width or abs(y - o.y) > half_height + o.half_height for o in objects
            ):
                objects.append(Object(x, y, half_width, half_height, kind))
                break
    return objects


def _picture(rng: np.random.Generator, height: int, width: int, objects: list[Object]) -> np.ndarray:
    """Draw an image (H, W, 3) uint8: a tinted texture with the objects on it."""
    ground = rng.uniform(90, 165)
    tint = rng.uniform(-20, 20, 3)
    picture = ground + tint + _texture(rng, height, width, 14)[..., None]
    for item in objects:
        # much brighter or darker than the ground, and coloured
        contrast = rng.choice([-1, 1]) * rng.uniform(65, 90) + rng.uniform(-40, 40, 3)
        inside = _mask(item, height, width)[..., None]
        surface = ground + contrast + _texture(rng, height, width, 22)[..., None]
        picture = picture + inside * (surface - picture)
    pixels: np.ndarray = np.clip(np.round(picture), 0, 255).astype(np.uint8)
    return pixels


def _texture(rng: np.random.Generator, height: int, width: int, amplitude: float) -> np.ndarray:
    """Draw noise (H, W) with mean 0 and standard deviation `amplitude`, smooth at scales of 2, 8 and 32 pixels."""
    noise: np.ndarray = np.zeros((height, width))
    for scale in (2, 8, 32):
        coarse = rng.standard_normal((height // scale + 2, width // scale + 2))
        noise += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    scaled: np.ndarray = amplitude * (noise - noise.mean()) / noise.std()
    return scaled


def _mask(o: Object, height: int, width: int) -> np.ndarray:
    """Return how much of each pixel the object covers, with smoothed edges: (H, W) in 0..1."""
    mask = np.zeros((height, width), np.uint8)
    centre = (round(o.x), round(o.y))
    if o.kind == "rectangle":
        corner, opposite = ((round(o.x + s * o.half_width), round(o.y + s * o.half_height)) for s in (-1, 1))
        cv2.rectangle(mask, corner, opposite, 255, cv2.FILLED)
    elif o.kind == "disc":
        cv2.circle(mask, centre, round(o.half_width), 255, cv2.FILLED)
    else:
        thickness = max(1, round(0.4 * o.half_width))
        cv2.circle(mask, centre, max(1, round(o.half_width - thickness / 2)), 255, thickness)
    return cv2.GaussianBlur(mask, (5, 5), 1).astype(np.float64) / 255
