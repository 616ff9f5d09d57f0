"""Generated inputs: photos-like images, and a study at any size whose features need no backbone."""

from __future__ import annotations

import csv
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from entreg.config import Backbone, Config, Data, Hardware
from entreg.data.dataset import DataSet, Fixations, Stimulus
from entreg.data.geometry import Geometry, resize
from entreg.data.images import read_rgb
from entreg.features.backbone import Taps, build
from entreg.features.recipe import Recipe
from entreg.features.store import FeatureStore
from entreg.losses import losses
from entreg.ranks import Ranks
from entreg.run.hardware import convolution_of, precision_of
from entreg.study.part import Part, UniformPart

LANDSCAPE, PORTRAIT = (768, 1024), (1024, 768)
FIXATIONS = 104  # an image of MIT1003 has 104 on average
DISTINCT = 16  # feature rows that a generated store repeats
CPU = torch.device("cpu")


class Pictures:
    """Image files as a feature store sees them."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths, self.names = paths, [path.name for path in paths]
        self.sizes, self.contents = [LANDSCAPE] * len(paths), self.names

    def read(self, i: int) -> np.ndarray:
        return read_rgb(self.paths[i])


def pictures(folder: Path, count: int, seed: int) -> Pictures:
    """`count` landscape JPEG files in `folder`."""
    return Pictures([picture(folder / f"{i:04d}.jpg", LANDSCAPE, seed + i) for i in range(count)])


def picture(path: Path, size: tuple[int, int], seed: int) -> Path:
    """A JPEG of coloured clouds with some grain."""
    random = np.random.default_rng(seed)
    height, width = size
    clouds = Image.fromarray(random.integers(0, 256, (height // 64, width // 64, 3), dtype=np.uint8))
    grain = random.integers(-12, 13, (height, width, 1), dtype=np.int16)
    pixels = np.asarray(clouds.resize((width, height), Image.Resampling.BICUBIC)) + grain
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def gazes(size: tuple[int, int], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(y, x) pixels of `count` fixations around three places of an image."""
    random = np.random.default_rng(seed)
    places = random.uniform(0.2, 0.8, (3, 2))[random.integers(3, size=count)]
    points = (places + 0.08 * random.standard_normal((count, 2))).clip(0, 0.999) * size
    return points[:, 0], points[:, 1]


def data_set(root: Path, images: int, seed: int) -> None:
    """A data set as the `folder` loader reads it, MIT1003's mix of landscape and portrait images."""
    (root / "stimuli").mkdir(parents=True)
    with open(root / "fixations.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "subject", "order", "x", "y"])
        for i in range(images):
            # 779 of MIT1003's 1003 images are landscape
            size = LANDSCAPE if i % 9 < 7 else PORTRAIT
            picture(root / f"stimuli/{i:04d}.jpg", size, seed + i)
            # order 0 is the trial's fixation mark, which the loader drops
            for order, (y, x) in enumerate(zip(*gazes(size, FIXATIONS + 1, seed + i), strict=True)):
                table.writerow([f"{i:04d}.jpg", "A", order, f"{x:.2f}", f"{y:.2f}"])


def backbone() -> Taps:
    """VGG-19 with random weights and the project's default taps, as published: contiguous, direct."""
    return build(Backbone(), 2, ".")


def recipe(dtype: torch.dtype = torch.float16, hardware: Hardware | None = None) -> Recipe:
    """The features of that backbone with the project's default factors, as the CPU computes them."""
    hardware = hardware or Hardware()
    precision = precision_of(hardware, "cpu")
    return Recipe(backbone(), 4, 4, dtype, precision, convolution_of(hardware, "cpu", precision, dtype))


@dataclass(frozen=True)
class GeneratedStudy:
    """A study of landscape images whose features are random numbers: all that a Trainer reads."""

    config: Config
    training: Part
    validation: Part
    uniform_part: UniformPart
    ranks: Ranks = Ranks()
    landscape: tuple[int, int] = LANDSCAPE

    def uniform(self, size: tuple[int, int]) -> UniformPart:
        return self.uniform_part

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"data": "generated"}


def settings(loss: str = "nll", every: int = 10, epochs: int = 1) -> Config:
    """The default settings at the specification's batch size."""
    config = Config(data=Data(), loss=losses()[loss](every=every))
    config.trainer.epochs, config.trainer.batch_size = epochs, 32
    config.hardware.precision = "float32"
    config.store.hold = "map"  # memory is measured without the store
    return config


def study(folder: Path, images: int, config: Config) -> GeneratedStudy:
    """`images` to train on, 16 to validate on and 16 uniform ones, from a store written to `folder`."""
    made_by, total = recipe(), images + DISTINCT
    names = [f"{i:04d}" for i in range(total)]
    listed = SimpleNamespace(names=names, sizes=[LANDSCAPE] * total)
    _write_store(folder, total, made_by)
    store = FeatureStore(folder, listed, made_by)
    points = (gazes(LANDSCAPE, FIXATIONS, i) for i in range(total))
    y, x = (np.concatenate(axis) for axis in zip(*points, strict=True))
    stimuli = tuple(Stimulus(name, Path(name), *LANDSCAPE) for name in names)
    fixations = Fixations(np.repeat(np.arange(total), FIXATIONS), x, y)
    resized = resize(DataSet("generated", stimuli, fixations, {}), Geometry("stretch", 1024, 768))
    biases = _center_biases(folder / "center_bias.bin", images)
    shared = torch.full((192, 256), -math.log(768 * 1024))
    own, held_out = list(range(images)), list(range(images, total))
    return GeneratedStudy(
        config,
        Part(resized, own, store, own, biases, CPU),
        Part(resized, held_out, store, held_out, [shared] * DISTINCT, CPU),
        UniformPart(_uniform_store(folder, made_by), LANDSCAPE, shared, CPU),
    )


def _write_store(folder: Path, images: int, made_by: Recipe) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    shape = (made_by.grid(LANDSCAPE).cells, made_by.channels)
    rows = [random.standard_normal(shape, dtype=np.float32).astype(np.float16).tobytes() for _ in range(DISTINCT)]
    with open(folder / "768x1024.bin", "wb") as file:
        for i in range(images):
            file.write(rows[i % DISTINCT])
    checksums = np.array([zlib.crc32(row) + 1 for row in rows], dtype=np.int64)
    np.resize(checksums, images).tofile(folder / "checksums.bin")


def _uniform_store(folder: Path, made_by: Recipe) -> FeatureStore:
    listed = SimpleNamespace(names=[f"uniform {i}" for i in range(DISTINCT)], sizes=[LANDSCAPE] * DISTINCT)
    _write_store(folder / "uniform", DISTINCT, made_by)
    return FeatureStore(folder / "uniform", listed, made_by)


def _center_biases(path: Path, images: int) -> list[torch.Tensor]:
    """One memory-mapped map an image, as the leave-one-out maps are."""
    with open(path, "wb") as file:
        row = np.full(192 * 256, -math.log(768 * 1024), dtype=np.float32).tobytes()
        for _ in range(images):
            file.write(row)
    maps = np.memmap(path, dtype=np.float32, mode="c", shape=(images, 192, 256))
    return [torch.from_numpy(one) for one in maps]
