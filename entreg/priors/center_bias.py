"""The centre bias that the model receives: where people look regardless of the image, according to the training set.

It is computed from the training fixations only. For a training image, the KDE leaves out that image's own fixations, as
published, because they would tell the model part of the answer. All other images get the KDE of all training fixations.
"""

from __future__ import annotations

import functools
import hashlib
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from entreg.config import Prior
from entreg.distributed.ranks import Ranks
from entreg.errors import DataError, brief
from entreg.io import files
from entreg.io.leases import make_once
from entreg.priors.gaussian import gaussian_log_prior
from entreg.priors.kde import FixationKde
from entreg.units import Size, uniform_log_density_nats

VERSION = 2  # of the leave-one-out maps; raise it with every change of their values
TAIL = 8  # bytes of the checksum after the maps of a file


class CenterBias:
    """The log densities of the centre bias, in nats, at the pixels that the model's map reads: every `map_factor`-th.

    kind: `kde`, `gaussian` or `uniform`
    kde: the KDE of all training fixations, which only the kind `kde` needs
    of_sets: where these are of several sets, the KDE of each by the set's name
    """

    def __init__(
        self,
        kind: str,
        prior: Prior,
        map_factor: int,
        kde: FixationKde | None,
        of_sets: Mapping[str, FixationKde] | None = None,
    ) -> None:
        self.kind, self.prior, self.map_factor, self.kde = kind, prior, map_factor, kde
        self.of_sets = of_sets or {}
        self._shared: dict[Size, Tensor] = {}

    def of_set(self, name: str) -> CenterBias:
        """Return the centre bias of images of one set that was trained on."""
        return CenterBias(self.kind, self.prior, self.map_factor, self.of_sets.get(name, self.kde))

    def map(self, size: Size) -> Tensor:
        """Return the centre bias (m_y, m_x), in nats, of an image of `size` (H, W) that is not a training image."""
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
        return np.full(shape, uniform_log_density_nats((height, width)), dtype=np.float32)


def leave_one_out_maps(
    kde: FixationKde, key: str, images: list[int], sizes: list[Size], map_factor: int, folder: Path, ranks: Ranks
) -> list[np.ndarray]:
    """Return, for each training image, the log density of the other images' fixations: (m_y, m_x) nats.

    The maps are built once and memory-mapped from `folder`, also by later runs on the same fixations.

    key: a fingerprint of the fixations
    images: the images' numbers in the KDE
    sizes: the size (H, W) of each image

    Raises a DataError that names a damaged file, and Stopped where the run was asked to stop while another process
    builds the maps.
    """
    content = repr((VERSION, key, images, sizes, map_factor, kde.bandwidth, kde.regularisation))
    folder = folder / hashlib.sha256(content.encode()).hexdigest()[:20]
    maps: dict[int, np.ndarray] = {}
    for size in sorted(set(sizes)):
        same = [i for i, other in zip(images, sizes, strict=True) if other == size]
        path = folder / f"{size[0]}x{size[1]}.bin"
        ranks.on_first_rank(functools.partial(_make, path, kde, same, size, map_factor, ranks))
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
        # copy on write: PyTorch may wrap the view, and its pages stay those of the file
        maps = np.memmap(path, "<f4", "c", shape=shape)
        with path.open("rb") as file:
            file.seek(maps.nbytes)
            tail = file.read()
        if len(tail) != TAIL or int.from_bytes(tail, "little") != zlib.crc32(maps.data):
            raise ValueError("its checksum does not match")
        return maps
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({brief(error)}); remove it, and the next run builds it again") from error
