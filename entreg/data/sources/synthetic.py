"""Synthetic data: images drawn from a seed, with fixations sampled from a log density that is known exactly.

    p(pixel) = bias_share * Gaussian bias + object_share * mean of the objects' Gaussians + the rest * uniform

with each part normalised over the pixels. So the information gain that the best possible model reaches is known.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from entreg.claims import make_once
from entreg.config import Data, Rule
from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.errors import DataError, SettingError, brief
from entreg.settings import setting

VERSION = 1  # of what the code below draws: raise it with any change, so that sets drawn earlier are not taken for new
KINDS = ("disc", "rectangle", "ring")
KEPT = ("sizes", "objects", "object_image", "image", "x", "y", "subject")  # arrays of a set
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


@dataclass
class Settings(Data):
    """Images drawn from a seed with a known fixation density, kept in the folder `root`."""

    images: int = setting(120, "images to draw", changes="result", at_least=4)
    seed: int = setting(1, "seed of images and fixations, independent of the run's seed", changes="result", at_least=0)
    observers: int = setting(15, "observers", changes="result", at_least=1)
    fixations_per_observer: int = setting(6, "fixations of an observer on an image", changes="result", at_least=1)
    bias_x: float = setting(
        0.5, "centre of the observers' spatial bias, share of the width", changes="result", at_least=0, at_most=1
    )
    bias_y: float = setting(
        0.5, "centre of the observers' spatial bias, share of the height", changes="result", at_least=0, at_most=1
    )
    bias_sigma: float = setting(0.18, "spread of that bias, share of each side", changes="result", at_least=0.001)
    bias_share: float = setting(
        0.35, "share of fixations that follow the bias", changes="result", at_least=0, at_most=1
    )
    object_share: float = setting(
        0.55, "share of fixations on objects; the rest is uniform", changes="result", at_least=0, at_most=1
    )

    def require(self) -> None:
        """SettingError where there is no folder to draw into."""
        if self.root is None:
            raise SettingError(
                f"{self.name}: no folder to draw the images into: data.root=PATH "
                f"(ood.{self.name}.root=PATH where it is a foreign set)"
            )

    def true_log_density(self, index: int) -> np.ndarray:
        """The log density (H, W) in nats, float64, that the fixations on the index-th image come from."""
        drawn = _read(_drawn(self))
        height, width = drawn["sizes"][index].tolist()
        objects = drawn["objects"][drawn["object_image"] == index]
        with np.errstate(divide="ignore"):  # with no uniform share, far pixels may underflow to 0
            return np.log(_density(self, height, width, objects))

    def broken_rules(self) -> Iterator[Rule]:
        """The shares are of one whole."""
        yield from super().broken_rules()
        if self.bias_share + self.object_share > 1:
            yield "bias_share", f"with object_share={self.object_share} at most 1"


@dataclass(frozen=True)
class Object:
    """Something to look at: centre and half extent in pixels."""

    x: float
    y: float
    half_width: float
    half_height: float
    kind: str


def load(settings: Settings) -> DataSet:
    """The data set of these settings, drawn on first use and read from settings.root ever after.

    DataError: settings.root cannot be written to. SettingError: there is none.
    """
    folder = _drawn(settings)
    drawn = _read(folder)
    _check_images(folder, drawn)
    sizes = drawn["sizes"].tolist()
    fixations = Fixations(drawn["image"], drawn["x"], drawn["y"], drawn["subject"])
    stimuli = tuple(Stimulus(_name(i), folder / _name(i), height, width) for i, (height, width) in enumerate(sizes))
    return DataSet(settings.name, stimuli, fixations, dropped={})


def _density(settings: Settings, height: int, width: int, objects: np.ndarray) -> np.ndarray:
    """The mixture (H, W); objects: (n, 4), each centre x, centre y, half width, half height in pixels."""
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
    return settings.bias_share * bias + settings.object_share * salience + uniform


def _gaussian(height: int, width: int, x: float, y: float, sigma_x: float, sigma_y: float) -> np.ndarray:
    """Gaussian (H, W) at the pixels' centres, normalised over the pixels. Sums to 1 since rows and columns each do."""

    def along(n: int, centre: float, sigma: float) -> np.ndarray:
        exponent = -0.5 * ((np.arange(n) + 0.5 - centre) / sigma) ** 2
        weight = np.exp(exponent - exponent.max())  # a sigma far below a pixel underflows otherwise
        return weight / weight.sum()

    return np.outer(along(height, y, sigma_y), along(width, x, sigma_x))


def _drawn(settings: Settings) -> Path:
    """Folder of the set, drawn if need be. It appears at once and whole, whoever else starts or is killed meanwhile."""
    settings.require()
    folder = Path(settings.root or "") / _fingerprint(settings)
    partial = folder.with_name(f"{folder.name}.partial")

    def make() -> None:
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        partial.mkdir()
        _draw(settings, partial)
        os.replace(partial, folder)

    try:
        make_once(folder, make)
    except (OSError, DataError) as error:
        raise DataError(f"cannot draw synthetic images into {folder}: {error}. Elsewhere: paths.store=PATH") from error
    return folder


def _read(folder: Path) -> dict[str, np.ndarray]:
    path = folder / "set.npz"
    try:
        with np.load(path) as drawn:
            found = {name: drawn[name] for name in drawn}
        lengths = {name: len(found[name]) for name in KEPT}
        images, fixations = lengths["sizes"], lengths["image"]
        if found["sizes"].shape != (images, 2) or found["objects"].shape != (lengths["object_image"], 4):
            raise ValueError("its arrays have other shapes")
        if any(found[name].shape != (fixations,) for name in ("image", "x", "y", "subject")):
            raise ValueError("its columns differ in length")
        if any(found[name].dtype.kind not in ("f" if name in ("objects", "x", "y") else "iu") for name in KEPT):
            raise ValueError("its arrays are of other types")
        plausible = all(np.isfinite(found[name]).all() and found[name].min() >= 0 for name in KEPT)
        if not plausible or not found["sizes"].all():
            raise ValueError("its values are not those of a set")
        if max(found[name].max() for name in ("image", "object_image")) >= images:
            raise ValueError("it lacks images")
        checksums = found["checksums"]
        if checksums.shape != (images,) or checksums.dtype.kind not in "iu":
            raise ValueError("its checksums are none")
        return found
    except Exception as error:  # a damaged file raises whatever numpy's reader stumbles over
        raise DataError(
            f"{path}: damaged ({brief(error)}); remove the folder {folder}, the next run draws it again"
        ) from error


def _check_images(folder: Path, drawn: dict[str, np.ndarray]) -> None:
    """Of ten flipped bits of a PNG file its reader misses one."""
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
        # written here: of a full disk OpenCV may not tell
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
    """n points (x, y) of the density: a pixel each, and a uniform place within it."""
    cumulated = np.cumsum(density)
    pixel = np.searchsorted(cumulated, rng.random(n) * cumulated[-1], side="right")
    row, column = np.unravel_index(pixel, density.shape)
    within = rng.random((2, n), dtype=np.float32)  # below 1 by 2^-24, so that floor() gives the pixel back
    return column + within[0].astype(np.float64), row + within[1].astype(np.float64)


def _scene(rng: np.random.Generator, height: int, width: int) -> list[Object]:
    """1 to 4 objects at random places, wholly inside the image and apart from each other."""
    short = min(height, width)
    objects: list[Object] = []
    for _ in range(rng.integers(1, 5)):
        half_width, half_height = rng.uniform(0.06, 0.13, 2) * short
        kind = KINDS[rng.integers(len(KINDS))]
        if kind != "rectangle":
            half_height = half_width
        for _ in range(20):  # tries; an image that is full keeps fewer objects
            x, y = rng.uniform(half_width, width - half_width), rng.uniform(half_height, height - half_height)
            if all(
                abs(x - o.x) > half_width + o.half_width or abs(y - o.y) > half_height + o.half_height for o in objects
            ):
                objects.append(Object(x, y, half_width, half_height, kind))
                break
    return objects


def _picture(rng: np.random.Generator, height: int, width: int, objects: list[Object]) -> np.ndarray:
    """(H, W, 3) uint8: tinted texture with the objects on it."""
    ground = rng.uniform(90, 165)
    tint = rng.uniform(-20, 20, 3)
    picture = ground + tint + _texture(rng, height, width, 14)[..., None]
    for o in objects:
        # brighter or darker than the ground by far, and coloured
        contrast = rng.choice([-1, 1]) * rng.uniform(65, 90) + rng.uniform(-40, 40, 3)
        inside = _mask(o, height, width)[..., None]
        surface = ground + contrast + _texture(rng, height, width, 22)[..., None]
        picture = picture + inside * (surface - picture)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, height: int, width: int, amplitude: float) -> np.ndarray:
    """(H, W) noise of mean 0 and standard deviation `amplitude`, smooth at scales of 2, 8 and 32 pixels."""
    noise = np.zeros((height, width))
    for scale in (2, 8, 32):
        coarse = rng.standard_normal((height // scale + 2, width // scale + 2))
        noise += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return amplitude * (noise - noise.mean()) / noise.std()


def _mask(o: Object, height: int, width: int) -> np.ndarray:
    """(H, W) in 0..1: how much of each pixel the object covers, edges smoothed."""
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
