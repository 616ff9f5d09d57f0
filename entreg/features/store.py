"""The backbone's features, computed once for each image, memory-mapped, shared by all runs and ranks of a machine.

A store is a folder named by the fingerprint of everything its contents depend on, so nothing stale is ever read. It is
built under `<fingerprint>.partial` and renamed when complete; a killed build goes on where it was. Each row carries a
checksum that is tested when a process first reads it.
"""
from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import shutil
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from tqdm import tqdm

from entreg.errors import DataError
from entreg.features.recipe import BYTES, Images, Recipe
from entreg.ranks import Ranks

log = logging.getLogger(__name__)

TOLD_EVERY_S = 60  # where no progress bar is shown, as in a job's log


class FeatureStore:
    """Features of a list of images, in its order."""

    def __init__(self, folder: Path, images: Images, recipe: Recipe) -> None:
        """Opens a complete store. DataError where a file is missing or has the wrong size."""
        self.recipe, self.sizes, self.names, self.folder = recipe, images.sizes, images.names, folder
        self._place, counts = _places(images.sizes)
        self._maps: dict[tuple[int, int], mmap.mmap] = {}
        _check_size(folder / "checksums.bin", len(images.sizes) * 8)
        for size, count in counts.items():
            path = folder / _file_name(size)
            _check_size(path, count * recipe.row_bytes(size))
            with open(path, "rb") as file:
                # to read alone: the system would refuse to map more than its memory where it could be written to
                self._maps[size] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with warnings.catch_warnings():
            # PyTorch says once a process that such tensors must not be written to; nobody does
            warnings.simplefilter("ignore")
            torch.frombuffer(bytes(1), dtype=torch.uint8)
        self._checksums = np.fromfile(folder / "checksums.bin", dtype=np.int64)
        self._verified = np.zeros(len(images.sizes), dtype=bool)

    def __getitem__(self, i: int) -> Tensor:
        """(cells, C) features of image i: a view of the file, nothing is copied. DataError where they are damaged."""
        size, row = self._place[i]
        length = self.recipe.row_bytes(size)
        if not self._verified[i]:
            with memoryview(self._maps[size])[row * length : (row + 1) * length] as view:
                if zlib.crc32(view) + 1 != self._checksums[i]:
                    path = self.folder / _file_name(size)
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


def open_store(images: Images, recipe: Recipe, folder: Path, ranks: Ranks) -> FeatureStore:
    """The store of these images under `folder`; built first, by all ranks together, where it does not exist.

    Several runs may call this at once: one builds, the others wait. Raises DataError for an image that cannot be read
    and for a disk that is too small.
    """
    fingerprint = hashlib.sha256(
        json.dumps([recipe.describe(images.sizes), images.contents, images.sizes], sort_keys=True).encode()
    ).hexdigest()[:20]
    final = folder / fingerprint
    lock = FileLock(f"{final}.lock")
    # every rank must come to the same conclusion, so the first one's look counts
    if ranks.gather(not final.is_dir())[0]:
        if ranks.is_first:
            log.info("features: %s is not there; waiting for its lock and building it", final)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock.acquire()
            except OSError as error:
                raise DataError(f"{folder}: cannot be written: {error.strerror}; paths.store=FOLDER") from error
        # another run may have built it meanwhile
        missing = ranks.gather(not final.is_dir())[0]
        try:
            if missing:
                _build(images, recipe, final, ranks)
        finally:
            if ranks.is_first:
                lock.release()
    return FeatureStore(final, images, recipe)


def _build(images: Images, recipe: Recipe, final: Path, ranks: Ranks) -> None:
    partial = final.with_suffix(".partial")
    place, counts = _places(images.sizes)
    if ranks.is_first:
        _allocate(partial, counts, len(place), recipe)
    ranks.barrier()
    recipe.backbone.to(ranks.device)
    checksums = np.fromfile(partial / "checksums.bin", dtype=np.int64)
    files = {size: os.open(partial / _file_name(size), os.O_RDWR) for size in counts}
    table = os.open(partial / "checksums.bin", os.O_RDWR)

    def add(i: int) -> None:
        size, position = place[i]
        data = recipe.row(images.read(i), ranks.device).contiguous().view(torch.uint8).numpy()
        _write(files[size], data, position * data.nbytes, partial)
        # 0 means "not there yet", so checksums are kept plus one
        _write(table, np.array([zlib.crc32(data) + 1], dtype=np.int64), i * 8, partial)

    try:
        # shared out first: what is done changes as soon as one rank begins
        mine = [i for i in ranks.mine(range(len(place))) if not _is_done(files, place[i], checksums[i], recipe)]
        show = ranks.is_first and sys.stderr.isatty()
        started = told = time.monotonic()
        for done, _ in enumerate(tqdm(in_threads(add, mine), "features", len(mine), unit="image", disable=not show), 1):
            now = time.monotonic()
            if ranks.is_first and not show and now - told >= TOLD_EVERY_S:
                told, rate = now, done / (now - started)
                log.info("features: %d of %d images, %.2f images/s, %.0f minutes left",
                         done, len(mine), rate, (len(mine) - done) / rate / 60)
        for handle in (*files.values(), table):
            os.fsync(handle)
    finally:
        for handle in (*files.values(), table):
            os.close(handle)
    recipe.backbone.to("cpu")
    ranks.barrier()
    if ranks.is_first:
        (partial / "recipe.json").write_text(json.dumps(recipe.describe(images.sizes) | {"images": images.names}, indent=1))
        os.replace(partial, final)
        log.info("features: %s complete", final)
    ranks.barrier()


def _allocate(partial: Path, counts: dict[tuple[int, int], int], images: int, recipe: Recipe) -> None:
    needed = sum(count * recipe.row_bytes(size) for size, count in counts.items())
    resumed = partial.is_dir()
    partial.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(partial).free + sum(file.stat().st_blocks * 512 for file in partial.iterdir())
    log.info("features: %d images, %.2f GB in %s (%.0f GB free)%s", images, needed / 1e9, partial.parent, free / 1e9,
             "; a build that was cut short goes on" if resumed else "")
    if needed > free:
        raise DataError(
            f"{partial.parent}: the features need {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are free.\n"
            f"  keep them elsewhere   paths.store=FOLDER\n  remove old ones       make clean-store STORE={partial.parents[1]}"
        )
    try:
        for size, count in counts.items():
            with open(partial / _file_name(size), "ab") as file:
                # really taken now: a full disk is found here, not in the middle
                os.posix_fallocate(file.fileno(), 0, count * recipe.row_bytes(size))
        with open(partial / "checksums.bin", "ab") as file:
            os.posix_fallocate(file.fileno(), 0, images * 8)
    except OSError as error:
        if not resumed:
            shutil.rmtree(partial)
        raise DataError(
            f"{partial}: {needed / 1e9:.2f} GB cannot be taken: {error.strerror}; paths.store=FOLDER"
        ) from error


def _is_done(files: dict, place: tuple, checksum: int, recipe: Recipe) -> bool:
    if checksum == 0:
        return False
    size, position = place
    length = recipe.row_bytes(size)
    return zlib.crc32(os.pread(files[size], length, position * length)) + 1 == checksum


def in_threads(work: Callable[[Any], Any], items: list) -> Iterator[Any]:
    """Does the work for each item, every thread one at a time and alone: threads that share an image wait for each other.

    A row then does not depend on the number of threads either. Where one fails the rest is not begun.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, items)
    finally:
        torch.set_num_threads(threads)


def _places(sizes: list[tuple[int, int]]) -> tuple[list[tuple[tuple[int, int], int]], dict[tuple[int, int], int]]:
    """For each image its size and its row in that size's file; and the rows of each file."""
    counts: dict[tuple[int, int], int] = {}
    places = []
    for size in sizes:
        places.append((size, counts.setdefault(size, 0)))
        counts[size] += 1
    return places, counts


def _write(handle: int, data: np.ndarray, offset: int, folder: Path) -> None:
    try:
        if os.pwrite(handle, data, offset) != data.nbytes:
            raise OSError("short write")
    except OSError as error:
        raise DataError(f"{folder}: writing features failed: {error}; the next run goes on from here") from error


def _file_name(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}.bin"


def _check_size(path: Path, expected: int) -> None:
    found = path.stat().st_size if path.is_file() else None
    if found != expected:
        what = "is missing" if found is None else f"has {found} bytes where {expected} belong"
        raise DataError(f"{path} {what}; {_remove(path.parent)}")


def _remove(folder: Path) -> str:
    return f"remove the folder {folder} (or: make clean-store STORE={folder.parents[1]}), the next run builds it again"
