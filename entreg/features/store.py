"""Feature stores: the backbone's features, computed once and memory-mapped by all runs and ranks of a machine.

A store is a folder named by the fingerprint of everything that its contents depend on, so no outdated features are
read, and by COMPACT where it leaves ReLUs out, see `rectified`. `store_builder` builds it. Each row has a checksum,
which a process tests when it first reads the row. During a training `preload` may keep rows in memory.
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

from entreg.distributed.memory import resident_bytes
from entreg.errors import DataError
from entreg.features.recipe import Images, Recipe
from entreg.features.rectified import Features, full

CHECKSUMS = "checksums.bin"
COMPACT = "-without-relus"  # end of the name of a store that leaves ReLUs out; earlier versions left none out


class FeatureStore:
    """The features of a list of images, in its order, in a complete store.

    preloaded: rows in memory by number, which are returned in place of the file's

    Raises a DataError where a file is missing or has the wrong size.
    """

    def __init__(self, folder: Path, images: Images, recipe: Recipe) -> None:
        self.recipe, self.sizes, self.names, self.folder = recipe, images.sizes, images.names, folder
        self._place, counts = places(images.sizes)
        self._maps: dict[tuple[int, int], mmap.mmap] = {}
        _check_size(folder / CHECKSUMS, len(images.sizes) * 8)
        for size, count in counts.items():
            path = folder / file_name(size)
            _check_size(path, count * recipe.row_bytes(size))
            with path.open("rb") as file:
                # read-only, because the system refuses writable mappings that are larger than its memory
                self._maps[size] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with warnings.catch_warnings():
            # PyTorch warns once per process that such tensors must not be written to, which nothing does
            warnings.simplefilter("ignore")
            torch.frombuffer(bytes(1), dtype=torch.uint8)
        self._checksums = np.fromfile(folder / CHECKSUMS, dtype=np.int64)
        self._verified = np.zeros(len(images.sizes), dtype=bool)
        self.preloaded: dict[int, Features] = {}

    @property
    def fingerprint(self) -> str:
        """The fingerprint of everything that the features depend on, however they are stored."""
        return self.folder.name.removesuffix(COMPACT)

    def __getitem__(self, i: int) -> Tensor:
        """Return all features (cells, C) of image i, a copy where ReLUs are left out of the store; see `compact`."""
        return full(self.compact(i))

    def compact(self, i: int) -> Features:
        """Return the features (cells, C) of image i as a view of the file or, if preloaded, where they were loaded to.

        Raises a DataError where they are damaged.
        """
        if i in self.preloaded:
            return self.preloaded[i]
        start, length = self._bytes(i)
        memory = self._maps[self.sizes[i]]
        if not self._verified[i]:
            with memoryview(memory)[start : start + length] as view:
                self._verify(i, view)
            self._verified[i] = True
        return self.row(i, memory, start)

    def place(self, i: int) -> tuple[Path, int, int]:
        """Return the file of image i's features, their first byte there, and the number of bytes."""
        return self.folder / file_name(self.sizes[i]), *self._bytes(i)

    def _bytes(self, i: int) -> tuple[int, int]:
        size, row = self._place[i]
        length = self.recipe.row_bytes(size)
        return row * length, length

    def row(self, i: int, memory: mmap.mmap | bytearray, start: int) -> Features:
        """Return the features (cells, C) of image i as a view of memory in which their bytes begin at `start`."""
        cells, layout = self.recipe.grid(self.sizes[i]).cells, self.recipe.layout
        row = torch.frombuffer(memory, dtype=self.recipe.dtype, count=cells * layout.width, offset=start)
        return layout.features(row.view(cells, layout.width))

    def read(self, i: int, to: memoryview) -> None:
        """Read all bytes of image i's features from the disk. Raises a DataError where they cannot be read."""
        path, start, length = self.place(i)
        try:
            with path.open("rb", buffering=0) as file:
                done = 0
                while done < length and (count := os.preadv(file.fileno(), [to[done:]], start + done)):
                    done += count
        except OSError as error:
            if error.errno in (errno.EFAULT, errno.ENOMEM):  # the fault is that of `to`, not of the file
                raise
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        self._verify(i, to)

    def cached_bytes(self, i: int) -> int:
        """Return how many bytes of image i's features are in the page cache, in whole pages."""
        _, start, length = self.place(i)
        first = torch.frombuffer(self._maps[self.sizes[i]], dtype=torch.uint8, count=1, offset=start)
        return resident_bytes(first.data_ptr(), length)

    def prefetch(self, items: list[int]) -> None:
        """Ask the system to read these images' features from the disk while something else is computed."""
        for i in items:
            if i in self.preloaded:
                continue
            first, length = self._bytes(i)
            start = first // mmap.PAGESIZE * mmap.PAGESIZE
            self._maps[self.sizes[i]].madvise(mmap.MADV_WILLNEED, start, first + length - start)

    def _verify(self, i: int, row: memoryview) -> None:
        if zlib.crc32(row) + 1 != self._checksums[i]:
            path = self.place(i)[0]
            what = f"the features of {self.names[i]} are damaged (checksum)"
            raise DataError(f"{path}: {what}; {_remove(path.parent)}")


def places(sizes: list[tuple[int, int]]) -> tuple[list[tuple[tuple[int, int], int]], dict[tuple[int, int], int]]:
    """Return, for each image, its size and its row in that size's file; and the number of rows in each file."""
    counts: dict[tuple[int, int], int] = {}
    size_and_row = []
    for size in sizes:
        size_and_row.append((size, counts.setdefault(size, 0)))
        counts[size] += 1
    return size_and_row, counts


def file_name(size: tuple[int, int]) -> str:
    """Return the name of the file that holds the rows of images of one size."""
    return f"{size[0]}x{size[1]}.bin"


def _check_size(path: Path, expected: int) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size != expected:
        what = "is missing" if size is None else f"has {size} bytes instead of {expected}"
        raise DataError(f"{path} {what}; {_remove(path.parent)}")


def _remove(folder: Path) -> str:
    store = folder.parents[1]
    return f"remove the folder {folder} (or: make clean-store STORE={store}), and the next run builds it again"
