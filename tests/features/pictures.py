"""Small image files, recipes that count what they compute, and processes to kill: what the store's tests share."""

import multiprocessing
import os
import signal

import numpy as np
import torch
from PIL import Image

from entreg.config import Backbone
from entreg.data.images import read_rgb
from entreg.distributed.ranks import Ranks
from entreg.features.backbone import build
from entreg.features.recipe import Recipe
from entreg.features.store_builder import open_store

CPU = torch.device("cpu")
SIZES = [(64, 96), (96, 64), (64, 96), (64, 96)]
TAPS = ["conv2_1", "relu2_2"]


class Pictures:
    """Image files of a folder, as a data set's images are seen by a store."""

    def __init__(self, folder, sizes=SIZES):
        random = np.random.default_rng(5)
        self.paths = [folder / f"{i}.png" for i in range(len(sizes))]
        for path, size in zip(self.paths, sizes, strict=True):
            if not path.is_file():
                Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
        self.names, self.sizes = [path.name for path in self.paths], list(sizes)
        self.contents = [f"content {i}" for i in range(len(sizes))]

    def read(self, i):
        return read_rgb(self.paths[i])


class Watched(Recipe):
    """Counts the images that went through the backbone; kills the process before number `dies_at`."""

    seen, dies_at = 0, None

    def row(self, image, device):
        if self.seen == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += 1
        return super().row(image, device)


def recipe(
    dtype=torch.float32,
    precision=torch.float32,
    taps=TAPS,
    seed=0,
    downsample=2,
    readout_factor=4,
    convolution="direct",
    of=Watched,
):
    return of(build(Backbone(taps=taps, seed=seed), downsample, "."), readout_factor, 4, dtype, precision, convolution)


def opened(folder, images, made_by=None):
    """Built by one thread, so that images come in order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return open_store(images, made_by or recipe(), folder / "features", Ranks())
    finally:
        torch.set_num_threads(threads)


def complete(folder):
    return sorted(path.name for path in (folder / "features").iterdir() if path.is_dir() and path.suffix == "")


def in_process(target, *arguments):
    """Starts target(*arguments) in a copy of this process."""

    def work():
        # a forked process has none of its parent's OpenMP threads and must not wait for them
        torch.set_num_threads(1)
        target(*arguments)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process
