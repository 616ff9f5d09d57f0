"""Generated inputs: images that resemble photos, and a study of any size whose features need no backbone."""

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
from entreg.data.fingerprint import Fingerprint
from entreg.data.geometry import Geometry, resize
from entreg.data.images import read_rgb
from entreg.distributed.precision import backbone_precision_of, convolution_of
from entreg.distributed.ranks import Ranks
from entreg.features.backbone import Taps, build
from entreg.features.recipe import Recipe
from entreg.features.store import FeatureStore
from entreg.losses import losses
from entreg.study.pooled_split import PooledSplit
from entreg.study.split import Split, UniformInputs

LANDSCAPE, PORTRAIT = (768, 1024), (1024, 768)
FIXATIONS = 104  # per image, as on average in MIT1003
DISTINCT = 16  # different feature rows, which a generated store repeats
CPU = torch.device("cpu")


class Pictures:
    """Image files from which a feature store is built."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths, self.names = paths, [path.name for path in paths]
        self.sizes, self.contents = [LANDSCAPE] * len(paths), self.names

    def read(self, i: int) -> np.ndarray:
        """Return image i: (H, W, 3) uint8."""
        return read_rgb(self.paths[i])


def pictures(folder: Path, count: int, seed: int) -> Pictures:
    """Write `count` landscape JPEG files to `folder`."""
    return Pictures([picture(folder / f"{i:04d}.jpg", LANDSCAPE, seed + i) for i in range(count)])


def picture(path: Path, size: tuple[int, int], seed: int) -> Path:
    """Write a JPEG file of coloured clouds with some grain."""
    random = np.random.default_rng(seed)
    height, width = size
    clouds = Image.fromarray(random.integers(0, 256, (height // 64, width // 64, 3), dtype=np.uint8))
    grain = random.integers(-12, 13, (height, width, 1), dtype=np.int16)
    pixels = np.asarray(clouds.resize((width, height), Image.Resampling.BICUBIC)) + grain
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def gazes(size: tuple[int, int], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels (y, x) of `count` fixations around three points of an image."""
    random = np.random.default_rng(seed)
    centres = random.uniform(0.2, 0.8, (3, 2))[random.integers(3, size=count)]
    points = (centres + 0.08 * random.standard_normal((count, 2))).clip(0, 0.999) * size
    return points[:, 0], points[:, 1]


def data_set(root: Path, images: int, seed: int) -> None:
    """Write a data set for the source `folder`, with MIT1003's mix of landscape and portrait images."""
    (root / "stimuli").mkdir(parents=True)
    with (root / "fixations.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "subject", "order", "x", "y"])
        for i in range(images):
            # 779 of MIT1003's 1003 images are landscape
            size = LANDSCAPE if i % 9 < 7 else PORTRAIT
            picture(root / f"stimuli/{i:04d}.jpg", size, seed + i)
            # order 0 is the trial's fixation mark, which the source leaves out
            for order, (y, x) in enumerate(zip(*gazes(size, FIXATIONS + 1, seed + i), strict=True)):
                table.writerow([f"{i:04d}.jpg", "A", order, f"{x:.2f}", f"{y:.2f}"])


def backbone() -> Taps:
    """Return VGG-19 with random weights and the default taps, as published: contiguous and with direct convolutions."""
    return build(Backbone(), 2, ".")


def recipe(dtype: torch.dtype = torch.float16, precision: str = "float32", convolution: str = "auto") -> Recipe:
    """Return the recipe of that backbone's features with the default factors, on the CPU."""
    products = backbone_precision_of(Backbone(precision=precision), "cpu")
    algorithm = convolution_of(Hardware(convolution=convolution), "cpu", products, dtype)
    return Recipe(backbone(), 4, 4, dtype, products, algorithm)


@dataclass(frozen=True)
class GeneratedStudy:
    """Everything that a Trainer reads, for landscape images whose features are random numbers."""

    config: Config
    training: PooledSplit
    validation: PooledSplit
    uniform_inputs: UniformInputs
    ranks: Ranks = Ranks()
    landscape: tuple[int, int] = LANDSCAPE
    keeps_shapes: bool = False

    def uniform(self, size: tuple[int, int]) -> UniformInputs:
        """Return the uniform images."""
        return self.uniform_inputs

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprints of the data."""
        return {"data": "generated"}

    @property
    def sets(self) -> dict[str, Fingerprint]:
        """The fingerprints of the data sets: there are no files."""
        return {}


def settings(loss: str = "nll", every: int = 10, epochs: int = 1) -> Config:
    """Return the default settings with the specification's batch size."""
    config = Config(data=Data(), loss=losses()[loss](every=every))
    config.trainer.epochs, config.trainer.batch_size = epochs, 32
    config.hardware.precision = "float32"
    config.store.hold = "map"  # memory is measured without the store
    return config


def study(folder: Path, images: int, config: Config) -> GeneratedStudy:
    """Return a study of `images` training, 16 validation and 16 uniform images, with a store in `folder`."""
    features_recipe, total = recipe(), images + DISTINCT
    names = [f"{i:04d}" for i in range(total)]
    listed = SimpleNamespace(names=names, sizes=[LANDSCAPE] * total)
    _write_store(folder, total, features_recipe)
    store = FeatureStore(folder, listed, features_recipe)
    points = (gazes(LANDSCAPE, FIXATIONS, i) for i in range(total))
    y, x = (np.concatenate(axis) for axis in zip(*points, strict=True))
    stimuli = tuple(Stimulus(name, Path(name), *LANDSCAPE) for name in names)
    fixations = Fixations(np.repeat(np.arange(total), FIXATIONS), x, y)
    resized = resize(DataSet("generated", stimuli, fixations, {}), Geometry("stretch", 1024, 768))
    biases = _center_biases(folder / "center_bias.bin", images)
    shared = torch.full((192, 256), -math.log(768 * 1024))
    training, validation = list(range(images)), list(range(images, total))
    return GeneratedStudy(
        config,
        _pooled(Split(resized, training, store, training, biases, CPU, torch.float32)),
        _pooled(Split(resized, validation, store, validation, [shared] * DISTINCT, CPU, torch.float32)),
        UniformInputs(_uniform_store(folder, features_recipe), LANDSCAPE, shared, CPU, torch.float32),
    )


def _pooled(split: Split) -> PooledSplit:
    return PooledSplit({"generated": split}, {"generated": 1.0})


def _write_store(folder: Path, images: int, recipe: Recipe) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    shape = (recipe.grid(LANDSCAPE).cells, recipe.channels)
    drawn = (random.standard_normal(shape, dtype=np.float32).astype(np.float16) for _ in range(DISTINCT))
    rows = [recipe.layout.row(torch.from_numpy(features)).numpy().tobytes() for features in drawn]
    with (folder / "768x1024.bin").open("wb") as file:
        for i in range(images):
            file.write(rows[i % DISTINCT])
    checksums = np.array([zlib.crc32(row) + 1 for row in rows], dtype=np.int64)
    np.resize(checksums, images).tofile(folder / "checksums.bin")


def _uniform_store(folder: Path, recipe: Recipe) -> FeatureStore:
    listed = SimpleNamespace(names=[f"uniform {i}" for i in range(DISTINCT)], sizes=[LANDSCAPE] * DISTINCT)
    _write_store(folder / "uniform", DISTINCT, recipe)
    return FeatureStore(folder / "uniform", listed, recipe)


def _center_biases(path: Path, images: int) -> list[torch.Tensor]:
    """Return a memory-mapped map for each image, like the leave-one-out maps."""
    with path.open("wb") as file:
        row = np.full(192 * 256, -math.log(768 * 1024), dtype=np.float32).tobytes()
        for _ in range(images):
            file.write(row)
    maps = np.memmap(path, dtype=np.float32, mode="c", shape=(images, 192, 256))
    return [torch.from_numpy(log_density) for log_density in maps]
