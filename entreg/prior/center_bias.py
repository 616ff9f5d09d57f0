"""The centre bias that the model receives: where people look before an image is seen, as the training set knows it.

It comes from the training fixations alone. A training image's own fixations are left out of its own KDE, as published:
with them in, the model would be told part of the answer. All other images get the KDE of all training fixations.
"""

from __future__ import annotations

import functools
import hashlib
import math
import time
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from entreg import files
from entreg.claims import make_once
from entreg.config import Prior
from entreg.errors import DataError, brief
from entreg.prior.gaussian import gaussian_log_prior
from entreg.prior.kde import FixationKde
from entreg.ranks import Ranks

Size = tuple[int, int]

VERSION = 2  # of what leave-one-out maps hold: to be raised with every change of their values
TAIL = 8  # bytes after the maps of a file: their checksum


class CenterBias:
    """Log densities in nats at the pixels that the model's map reads: every `map_factor`-th of the image's.

    kind: `kde`, `gaussian` or `uniform`; kde: of all training fixations, needed for the first only
    """

    def __init__(self, kind: str, prior: Prior, map_factor: int, kde: FixationKde | None) -> None:
        self.kind, self.prior, self.map_factor, self.kde = kind, prior, map_factor, kde
        self._shared: dict[Size, Tensor] = {}

    def map(self, size: Size) -> Tensor:
        """(m_y, m_x) for an image of `size` (H, W) that is not a training image."""
        if size not in self._shared:
            self._shared[size] = torch.from_numpy(self._compute(*size))
        return self._shared[size]

    def _compute(self, height: int, width: int) -> np.ndarray:
        if self.kind == "kde":
            assert self.kde is not None
            return self.kde.log_density(height, width, step=self.map_factor)
        if self.kind == "gaussian":
            variance, nu = self.prior.gaussian_variance, self.prior.gaussian_nu
            full = gaussian_log_prior(height, width, height, width, variance, nu)
            step = self.map_factor
            rows, columns = height // step, width // step
            return full[::step, ::step][:rows, :columns].astype(np.float32)
        shape = (height // self.map_factor, width // self.map_factor)
        return np.full(shape, -math.log(height * width), dtype=np.float32)


def leave_one_out_maps(
    kde: FixationKde, key: str, images: list[int], sizes: list[Size], map_factor: int, folder: Path, ranks: Ranks
) -> list[np.ndarray]:
    """For each training image (m_y, m_x) nats: the KDE of the other images' fixations, memory-mapped from `folder`.

    images: their numbers in the KDE; sizes: (H, W) of each; key: a fingerprint of the fixations
    Built once and kept: later runs on the same fixations read them. DataError names a file that is damaged.
    Stopped where the run was asked to stop while another process builds them.
    """
    content = repr((VERSION, key, images, sizes, map_factor, kde.bandwidth, kde.regularisation))
    folder = folder / hashlib.sha256(content.encode()).hexdigest()[:20]
    maps: dict[int, np.ndarray] = {}
    for size in sorted(set(sizes)):
        same = [i for i, s in zip(images, sizes, strict=True) if s == size]
        path = folder / f"{size[0]}x{size[1]}.bin"
        ranks.first_does(functools.partial(_make, path, kde, same, size, map_factor, ranks))
        maps |= dict(zip(same, _read(path, (len(same), size[0] // map_factor, size[1] // map_factor)), strict=True))
    return [maps[i] for i in images]


def _make(path: Path, kde: FixationKde, images: list[int], size: Size, map_factor: int, ranks: Ranks) -> None:
    def save(file: BinaryIO) -> None:
        checksum = 0
        for log_density in kde.leave_one_out(images, *size, step=map_factor):
            data = log_density.astype("<f4").tobytes()
            file.write(data)
            checksum = zlib.crc32(data, checksum)
        file.write(checksum.to_bytes(TAIL, "little"))

    def pause() -> None:
        ranks.stop_if_asked()
        time.sleep(0.5)

    make_once(path, lambda: files.write(path, save), pause)


def _read(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        # copy on write: a view that PyTorch may wrap, of pages that stay the file's
        maps = np.memmap(path, "<f4", "c", shape=shape)
        with open(path, "rb") as file:
            file.seek(maps.nbytes)
            tail = file.read()
        if len(tail) != TAIL or int.from_bytes(tail, "little") != zlib.crc32(maps.data):
            raise ValueError("its checksum does not match")
        return maps
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({brief(error)}); remove it, the next run builds it again") from error
