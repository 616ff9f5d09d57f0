"""The backbone's features, computed once for each image, memory-mapped, shared by all runs and ranks of a machine.

A store is a folder named by the fingerprint of everything its contents depend on, so nothing stale is ever read;
`build.py` makes it. Each row carries a checksum that is tested when a process first reads it.
"""
from __future__ import annotations

import mmap
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from entreg.errors import DataError
from entreg.features.recipe import BYTES, Images, Recipe

CHECKSUMS = "checksums.bin"


class FeatureStore:
    """Features of a list of images, in its order."""

    def __init__(self, folder: Path, images: Images, recipe: Recipe) -> None:
        """Opens a complete store. DataError where a file is missing or has the wrong size."""
        self.recipe, self.sizes, self.names, self.folder = recipe, images.sizes, images.names, folder
        self._place, counts = places(images.sizes)
        self._maps: dict[tuple[int, int], mmap.mmap] = {}
        _check_size(folder / CHECKSUMS, len(images.sizes) * 8)
        for size, count in counts.items():
            path = folder / file_name(size)
            _check_size(path, count * recipe.row_bytes(size))
            with open(path, "rb") as file:
                # to read alone: the system would refuse to map more than its memory where it could be written to
                self._maps[size] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with warnings.catch_warnings():
            # PyTorch says once a process that such tensors must not be written to; nobody does
            warnings.simplefilter("ignore")
            torch.frombuffer(bytes(1), dtype=torch.uint8)
        self._checksums = np.fromfile(folder / CHECKSUMS, dtype=np.int64)
        self._verified = np.zeros(len(images.sizes), dtype=bool)

    def __getitem__(self, i: int) -> Tensor:
        """(cells, C) features of image i: a view of the file, nothing is copied. DataError where they are damaged."""
        size, row = self._place[i]
        length = self.recipe.row_bytes(size)
        if not self._verified[i]:
            with memoryview(self._maps[size])[row * length : (row + 1) * length] as view:
                if zlib.crc32(view) + 1 != self._checksums[i]:
                    path = self.folder / file_name(size)
                    what = f"features of {self.names[i]} are damaged (checksum)"
                    raise DataError(f"{path}: {what}; {_remove(path.parent)}")
            self._verified[i] = True
        count = length // BYTES[self.recipe.dtype]
        flat = torch.frombuffer(self._maps[size], dtype=self.recipe.dtype, count=count, offset=row * length)
        return flat.view(self.recipe.grid(size).cells, -1)

    def prefetch(self, items: list[int]) -> None:
        """Asks the system to read these images' features from the disk while something else is computed."""
        for i in items:
            size, row = self._place[i]
            length = self.recipe.row_bytes(size)
            start = row * length // mmap.PAGESIZE * mmap.PAGESIZE
            self._maps[size].madvise(mmap.MADV_WILLNEED, start, (row + 1) * length - start)


def places(sizes: list[tuple[int, int]]) -> tuple[list[tuple[tuple[int, int], int]], dict[tuple[int, int], int]]:
    """For each image its size and its row in that size's file; and the rows of each file."""
    counts: dict[tuple[int, int], int] = {}
    places = []
    for size in sizes:
        places.append((size, counts.setdefault(size, 0)))
        counts[size] += 1
    return places, counts


def file_name(size: tuple[int, int]) -> str:
    """Of the rows of images of one size."""
    return f"{size[0]}x{size[1]}.bin"


def _check_size(path: Path, expected: int) -> None:
    found = path.stat().st_size if path.is_file() else None
    if found != expected:
        what = "is missing" if found is None else f"has {found} bytes where {expected} belong"
        raise DataError(f"{path} {what}; {_remove(path.parent)}")


def _remove(folder: Path) -> str:
    return f"remove the folder {folder} (or: make clean-store STORE={folder.parents[1]}), the next run builds it again"
