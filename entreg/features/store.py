"""The backbone's features, computed once for each image, memory-mapped, shared by all runs and ranks of a machine.

A store is a folder named by the fingerprint of everything its contents depend on, so nothing stale is ever read;
`build.py` makes it. Each row carries a checksum that is tested when a process first reads it. While a training lasts
`held.py` may keep rows in memory.
"""

from __future__ import annotations

import errno
import mmap
import os
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from entreg.errors import DataError
from entreg.features.memory import resident_bytes
from entreg.features.recipe import BYTES, Images, Recipe

CHECKSUMS = "checksums.bin"


class FeatureStore:
    """Features of a list of images, in its order.

    held: rows that are kept in memory by number; they are given instead of the file's
    """

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
        self.held: dict[int, Tensor] = {}

    def __getitem__(self, i: int) -> Tensor:
        """(cells, C) features of image i: a view of the file, nothing is copied. DataError where they are damaged.

        What is held lies where it is held, on a GPU too.
        """
        if i in self.held:
            return self.held[i]
        path, start, length = self.place(i)
        memory = self._maps[self.sizes[i]]
        if not self._verified[i]:
            with memoryview(memory)[start : start + length] as view:
                self._verify(i, view)
            self._verified[i] = True
        return self.row(i, memory, start)

    def place(self, i: int) -> tuple[Path, int, int]:
        """File of image i's features, their first byte there, and how many they are."""
        size, row = self._place[i]
        length = self.recipe.row_bytes(size)
        return self.folder / file_name(size), row * length, length

    def row(self, i: int, memory: mmap.mmap | bytearray, start: int) -> Tensor:
        """(cells, C) features of image i as a view of the memory in which their bytes lie from `start` on."""
        count = self.recipe.row_bytes(self.sizes[i]) // BYTES[self.recipe.dtype]
        flat = torch.frombuffer(memory, dtype=self.recipe.dtype, count=count, offset=start)
        return flat.view(self.recipe.grid(self.sizes[i]).cells, -1)

    def read(self, i: int, to: memoryview) -> None:
        """Reads image i's features from the disk, all bytes of a row. DataError where they cannot be read."""
        path, start, length = self.place(i)
        try:
            with open(path, "rb", buffering=0) as file:
                done = 0
                while done < length and (count := os.preadv(file.fileno(), [to[done:]], start + done)):
                    done += count
        except OSError as error:
            if error.errno in (errno.EFAULT, errno.ENOMEM):  # of `to`, not of the file
                raise
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        self._verify(i, to)

    def cached_bytes(self, i: int) -> int:
        """How much of image i's features is in the page cache, in whole pages."""
        _, start, length = self.place(i)
        return resident_bytes(self.row(i, self._maps[self.sizes[i]], start).data_ptr(), length)

    def prefetch(self, items: list[int]) -> None:
        """Asks the system to read these images' features from the disk while something else is computed."""
        for i in items:
            if i in self.held:
                continue
            _, first, length = self.place(i)
            start = first // mmap.PAGESIZE * mmap.PAGESIZE
            self._maps[self.sizes[i]].madvise(mmap.MADV_WILLNEED, start, first + length - start)

    def _verify(self, i: int, row: memoryview) -> None:
        if zlib.crc32(row) + 1 != self._checksums[i]:
            path = self.place(i)[0]
            what = f"features of {self.names[i]} are damaged (checksum)"
            raise DataError(f"{path}: {what}; {_remove(path.parent)}")


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
